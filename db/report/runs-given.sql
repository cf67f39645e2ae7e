-- Given runs in the order of a report.
SELECT run_id
FROM run
WHERE run_id IN (SELECT value FROM json_each(:runs))
ORDER BY scenario, backend, started_at, run_id;
