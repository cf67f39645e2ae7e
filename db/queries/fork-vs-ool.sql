-- Fork against an out-of-line message: what does each phase cost? (latest pair of the same bytes)
.headers on
.mode column
SELECT fork_scenario, ool_scenario, backend, region_bytes, phase,
       round(fork_time_ns / 1e3, 1) AS fork_us, round(ool_time_ns / 1e3, 1) AS ool_us,
       fork_minflt AS fork_faults, ool_minflt AS ool_faults, fork_copied, ool_copied, fork_mapped,
       ool_mapped, fork_resident, ool_resident, fork_system_kb, ool_system_kb
FROM fork_vs_ool;
