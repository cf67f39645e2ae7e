-- How long handing over the same bytes took, by fork and out of line.
SELECT fork_scenario, ool_scenario, backend, region_bytes, fork_ns, ool_ns
FROM fork_vs_ool_sums
WHERE fork_ns > 0 AND ool_ns > 0
  AND (fork_run_id IN (SELECT value FROM json_each(:runs))
       OR ool_run_id IN (SELECT value FROM json_each(:runs)))
ORDER BY fork_scenario, backend, region_bytes, fork_run_id;
