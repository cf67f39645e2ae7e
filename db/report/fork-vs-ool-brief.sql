-- A fork run and its out-of-line twin, phase by phase: handing over, and the phases in which a side took a
-- fault (or may have), copied a page, or has other memory than before.
WITH numbered AS (
    SELECT *, row_number() OVER () AS nr,
           ool_distinct_kb + ifnull(ool_object_only_kb, 0) + ifnull(ool_in_transit_kb, 0) AS ool_kb
    FROM fork_vs_ool WHERE fork_run_id = :fork AND ool_run_id = :ool),
moved AS (
    SELECT *, fork_distinct_kb IS NOT lag(fork_distinct_kb, 1, fork_distinct_kb)
                                      OVER (PARTITION BY fork_step IS NULL ORDER BY nr) AS fork_moved,
           ool_kb IS NOT lag(ool_kb, 1, ool_kb) OVER (PARTITION BY ool_step IS NULL ORDER BY nr) AS ool_moved
    FROM numbered)
SELECT phase || iif(occurrence > 1, ' (' || occurrence || ')', '') AS phase,
       nullif(fork_time_ns, 0) AS fork_time_ns, nullif(ool_time_ns, 0) AS ool_time_ns,
       fork_minflt, ool_minflt, fork_copied, ool_copied, fork_distinct_kb, ool_distinct_kb,
       ool_object_only_kb, ool_in_transit_kb, unknown_keys, inferred_keys
FROM moved
WHERE phase IN ('in_transit', 'transferred') OR fork_moved OR ool_moved OR fork_copied > 0 OR ool_copied > 0
   OR fork_minflt > 0 OR ool_minflt > 0 OR instr(unknown_keys || ',', '_minflt,')
ORDER BY nr;
