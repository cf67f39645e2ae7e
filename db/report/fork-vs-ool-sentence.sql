-- A fork run and its out-of-line twin in a few numbers: the time to hand over, pages copied and
-- faults over all steps. A sum is NULL if one of its figures is unknown.
WITH p AS (
    SELECT * FROM fork_vs_ool WHERE fork_run_id = :fork AND ool_run_id = :ool),
unclear (run_id, quantity) AS (
    SELECT DISTINCT run_id, quantity FROM run JOIN unknown USING (run)
    WHERE run_id IN (:fork, :ool) AND quantity IN ('copied', 'minflt')),
concluded (run_id) AS (
    SELECT DISTINCT run_id FROM run JOIN region USING (run)
    WHERE run_id IN (:fork, :ool) AND instr(' ' || inferred || ' ', ' copied '))
SELECT (SELECT sum(fork_time_ns) FROM p WHERE phase IN ('in_transit', 'transferred')) AS fork_ns,
       (SELECT sum(ool_time_ns) FROM p WHERE phase IN ('in_transit', 'transferred')) AS ool_ns,
       iif((:fork, 'copied') IN unclear, NULL, (SELECT sum(fork_copied) FROM p)) AS fork_copied,
       iif((:ool, 'copied') IN unclear, NULL, (SELECT sum(ool_copied) FROM p)) AS ool_copied,
       iif((:fork, 'minflt') IN unclear, NULL, (SELECT sum(fork_minflt) FROM p)) AS fork_minflt,
       iif((:ool, 'minflt') IN unclear, NULL, (SELECT sum(ool_minflt) FROM p)) AS ool_minflt,
       :fork IN concluded AS fork_inferred, :ool IN concluded AS ool_inferred;
