-- Where the account of the run's memory and the system's figure differ most.
SELECT (SELECT count(*) FROM footprint_vs_system
        WHERE run_id IN (SELECT value FROM json_each(:runs)) AND residual_kb IS NOT NULL) AS steps,
       scenario, backend, step, residual_kb, system_tolerance_kb
FROM footprint_vs_system
WHERE run_id IN (SELECT value FROM json_each(:runs)) AND residual_kb IS NOT NULL
ORDER BY abs(residual_kb) DESC, scenario, backend, run_id, step
LIMIT 1;
