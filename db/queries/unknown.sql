-- What could not be known, why, and what would unlock it? (latest complete runs)
.headers on
.mode column
SELECT u.scenario, u.backend, u.reason, u.unlocks, count(*) AS n,
       (SELECT group_concat(q, ', ')
        FROM (SELECT DISTINCT d.quantity AS q FROM unknowns d
              WHERE d.run_id = u.run_id AND d.reason = u.reason ORDER BY q)) AS quantities
FROM unknowns u JOIN latest_runs USING (run_id)
GROUP BY u.run_id, u.reason
ORDER BY u.scenario, u.backend, n DESC, u.reason;
