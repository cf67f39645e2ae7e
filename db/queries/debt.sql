-- Who still carries debt: pages mapped here alone that fault once more because of an earlier sharer? An empty figure is unknown. (latest complete runs)
.headers on
.mode column
SELECT t.scenario, t.backend, t.step, t.phase, t.observed, t.region, t.debt AS debt_pages,
       t.debt * t.page_size / 1024 AS debt_kb,
       f.actors AS processes_alive,
       (SELECT group_concat(n.step || ': ' || n.write_outcome, ', ')
        FROM timeline n
        WHERE n.run_id = t.run_id AND n.observed = t.observed AND n.region = t.region
          AND n.case_name IS t.case_name AND n.step > t.step AND n.write_outcome IS NOT NULL)
           AS later_writes
FROM timeline t
     JOIN latest_runs USING (run_id)
     JOIN footprint_vs_system f ON f.run_id = t.run_id AND f.step = t.step
WHERE t.debt > 0
   OR (t.debt IS NULL AND (t.run_id, t.step, t.observed, t.region, 'debt') IN
                          (SELECT run_id, step, observed, region, quantity FROM unknowns))
ORDER BY t.scenario, t.backend, t.step, t.observed;
