-- Which expectations failed or could not be checked? (latest complete runs)
.headers on
.mode column
SELECT x.scenario, x.backend, x.step, x.phase, x.observed, x.key, x.expected, x.measured, x.result,
       x.reason
FROM expectations x JOIN latest_runs USING (run_id)
WHERE x.result <> 'held'
ORDER BY x.scenario, x.backend, x.step;
