-- What could not be known, why, and what would unlock it? (latest complete runs)
.headers on
.mode column
SELECT u.scenario, u.backend, u.reason, u.unlocks, u.n, u.quantities
FROM unknown_reasons u JOIN latest_runs USING (run_id)
ORDER BY u.scenario, u.backend, u.n DESC, u.reason;
