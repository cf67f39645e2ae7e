-- A fork run and its out-of-line twin in a few numbers: the time to hand over, pages copied and
-- faults over all steps. A sum is NULL if one of its figures is unknown.
SELECT fork_ns, ool_ns, fork_copied, ool_copied, fork_minflt, ool_minflt, fork_inferred, ool_inferred
FROM fork_vs_ool_sums
WHERE fork_run_id = :fork AND ool_run_id = :ool;
