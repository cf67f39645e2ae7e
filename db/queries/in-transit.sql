-- Memory that belongs to a message and to no process, step by step (latest complete runs)
.headers on
.mode column
SELECT f.scenario, f.backend, f.step, f.phase, f.in_transit_kb, f.object_only_kb, f.superseded_kb,
       f.sum_rss_kb, f.system_kb
FROM footprint_vs_system f JOIN latest_runs USING (run_id)
WHERE f.in_transit_kb > 0 OR f.object_only_kb > 0
ORDER BY f.scenario, f.backend, f.step;
