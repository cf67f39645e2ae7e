-- Who still carries debt: pages mapped here alone that fault once more because of an earlier sharer? An empty figure is unknown. (latest complete runs)
.headers on
.mode column
SELECT d.scenario, d.backend, d.step, d.phase, d.observed, d.region, d.debt_pages, d.debt_kb,
       d.processes_alive, d.later_writes
FROM debts d JOIN latest_runs USING (run_id)
ORDER BY d.scenario, d.backend, d.step, d.observed;
