-- How does the sum of RSS become what the system really uses? (latest complete runs)
.headers on
.mode column
SELECT f.scenario, f.backend, f.step, f.phase, f.sum_rss_kb,
       f.distinct_kb - f.sum_rss_kb AS counted_twice_kb, f.distinct_kb,
       -f.distinct_file_kb AS page_cache_kb, f.object_only_kb, f.in_transit_kb, f.pagetable_kb,
       f.residual_kb, f.system_kb, f.system_tolerance_kb AS tolerance_kb
FROM footprint_vs_system f JOIN latest_runs USING (run_id)
ORDER BY f.scenario, f.backend, f.step;
