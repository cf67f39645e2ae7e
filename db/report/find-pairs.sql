-- What handing over the same bytes, and the writes after it, took by fork and out of line, backend by
-- backend; nr: which of the backend's.
SELECT row_number() OVER of_one AS nr, count(*) OVER (PARTITION BY p.backend) AS pairs, fork_scenario, ool_scenario, p.backend, p.region_bytes, fork_ns, ool_ns, fork_write_ns, ool_write_ns,
       fork_copied, ool_copied, fork_inferred, ool_inferred,
       ifnull(json_extract(r.machine, '$.accelerator') = 'tcg', 0) AS emulated
FROM fork_vs_ool_sums AS p JOIN run AS r ON r.run_id = fork_run_id
WHERE fork_ns > 0 AND ool_ns > 0
  AND (fork_run_id IN (SELECT value FROM json_each(:runs))
       OR ool_run_id IN (SELECT value FROM json_each(:runs)))
WINDOW of_one AS (PARTITION BY p.backend ORDER BY fork_scenario, p.region_bytes, fork_run_id)
ORDER BY p.backend, nr;
