-- Expectations that failed.
SELECT scenario, backend, step, observed, key, expected, coalesce(measured, 'unknown') AS measured
FROM expectations
WHERE run_id IN (SELECT value FROM json_each(:runs)) AND result = 'failed'
ORDER BY scenario, backend, run_id, step, line;
