-- Fork runs and their out-of-line twins.
SELECT fork_run_id, ool_run_id, fork_scenario, ool_scenario, backend, page_size, region_bytes
FROM fork_ool_pairs
WHERE fork_run_id IN (SELECT value FROM json_each(:runs))
   OR ool_run_id IN (SELECT value FROM json_each(:runs))
ORDER BY fork_scenario, backend, region_bytes, fork_run_id;
