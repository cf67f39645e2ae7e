-- Memory that belongs to a message and to no process, step by step; an empty figure is unknown (latest complete runs)
.headers on
.mode column
SELECT f.scenario, f.backend, f.step, f.phase, f.in_transit_kb, f.object_only_kb, f.superseded_kb,
       f.sum_rss_kb, f.system_kb
FROM footprint_vs_system f JOIN latest_runs USING (run_id)
WHERE f.in_transit_kb > 0 OR f.object_only_kb > 0
   OR instr(f.unknown_keys, 'in_transit_kb') OR instr(f.unknown_keys, 'object_only_kb')
ORDER BY f.scenario, f.backend, f.step;
