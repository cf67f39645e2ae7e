-- The latest complete run of each scenario on each backend.
SELECT run_id FROM latest_runs ORDER BY scenario, backend;
