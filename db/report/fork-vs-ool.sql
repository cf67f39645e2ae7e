-- A fork run and its out-of-line twin, phase by phase.
SELECT phase || iif(occurrence > 1, ' (' || occurrence || ')', '') AS phase,
       nullif(fork_time_ns, 0) AS fork_time_ns, nullif(ool_time_ns, 0) AS ool_time_ns,
       fork_minflt, ool_minflt, fork_copied, ool_copied, fork_pagetable_kb,
       ool_pagetable_kb, fork_rss_kb, ool_rss_kb, fork_pss_kb, ool_pss_kb, fork_distinct_kb,
       ool_distinct_kb, ool_object_only_kb, ool_superseded_kb, ool_in_transit_kb,
       fork_system_kb, ool_system_kb, fork_mapped, ool_mapped, fork_resident, ool_resident,
       fork_step, ool_step, unknown_keys, inferred_keys
FROM fork_vs_ool
WHERE fork_run_id = :fork AND ool_run_id = :ool;
