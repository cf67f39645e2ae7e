-- What would killing a process free? Its USS and its page tables; the rest of its RSS stays with others. (last step of the latest complete runs)
.headers on
.mode column
SELECT f.scenario, f.backend, f.step, f.actor, f.rss_kb, f.uss_kb AS freed_kb,
       f.pagetable_kb AS freed_pagetable_kb, f.rss_kb - f.uss_kb AS stays_kb,
       round(100.0 * f.uss_kb / f.rss_kb, 1) AS freed_percent
FROM footprint f JOIN latest_runs USING (run_id)
WHERE f.step = (SELECT max(l.step) FROM footprint l WHERE l.run_id = f.run_id)
ORDER BY f.scenario, f.backend, f.uss_kb DESC;
