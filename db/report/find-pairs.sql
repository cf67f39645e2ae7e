-- How long handing over the same bytes took, by fork and out of line.
SELECT fork_scenario, ool_scenario, backend, region_bytes, sum(fork_time_ns) AS fork_ns,
       sum(ool_time_ns) AS ool_ns
FROM fork_vs_ool
WHERE phase IN ('in_transit', 'transferred')
  AND (fork_run_id IN (SELECT value FROM json_each(:runs))
       OR ool_run_id IN (SELECT value FROM json_each(:runs)))
GROUP BY fork_run_id, ool_run_id
HAVING sum(fork_time_ns) > 0 AND sum(ool_time_ns) > 0
ORDER BY fork_scenario, backend, region_bytes, fork_run_id;
