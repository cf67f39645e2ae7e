-- What the processes of a run seem to use and what the system uses, step by step.
SELECT step, phase, actors, sum_rss_kb, sum_pss_kb, sum_uss_kb, distinct_kb, distinct_file_kb,
       object_only_kb, superseded_kb, in_transit_kb, pagetable_kb, system_kb, residual_kb,
       system_tolerance_kb, system_source, unknown_keys
FROM footprint_vs_system
WHERE run_id = :run_id
ORDER BY step;
