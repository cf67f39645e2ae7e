-- Fork and out-of-line transfer, phase by phase.

-- Where each run ran. Figures of two places are no comparison of what ran there.
--   run: the run's key, for joins with tables
--   kernel: name, release, machine
--   machine: processors and memory in GiB, as a JSON object
--   emulated: 1: by an emulator, whose times compare with each other only
CREATE VIEW run_places AS
SELECT run, kernel,
       json_object('cpus', json_extract(machine, '$.cpus'),
                   'memory_gib', round(json_extract(machine, '$.memory_kb') / 1048576.0)) AS machine,
       json_extract(machine, '$.accelerator') IS 'tcg' AS emulated
FROM run;

-- The newest complete run of each scenario, backend, set of parameters, kernel and machine: what
-- fork_vs_ool and published choose from. One that warms a series up only where there is no other.
--   run: the run's key, for joins with tables
--   params: parameters as a JSON object
--   started_at: UTC, ISO 8601 with microseconds
--   twin: scenario that does the same the other way (fork or out of line)
--   forks: 1: it has a fork step
--   sends: 1: it has an ool_send step
--   kernel: what ran: name, release, machine
--   machine: processors and memory, as in `run_places`
--   region_bytes: most bytes of regions that one actor had at once
CREATE VIEW newest_runs AS
SELECT r.run, r.run_id, r.scenario, r.backend, r.page_size, r.params, r.started_at, r.twin,
       r.kernel, r.place AS machine,
       EXISTS (SELECT 1 FROM step s WHERE s.run = r.run AND s.action = 'fork') AS forks,
       EXISTS (SELECT 1 FROM step s WHERE s.run = r.run AND s.action = 'ool_send') AS sends,
       (SELECT max(b) FROM (SELECT sum(pages) * r.page_size AS b FROM region g
                            WHERE g.run = r.run AND g.observed <> 'message'
                            GROUP BY g.step, g.observed)) AS region_bytes
FROM (SELECT r.*, p.machine AS place,
             row_number() OVER (PARTITION BY scenario, backend, page_size, params, r.kernel, p.machine
                                ORDER BY warm_up IS 1, started_at DESC, run_id DESC) AS age
      FROM run r JOIN run_places p USING (run) WHERE status = 'complete') r
WHERE age = 1;

-- Per fork scenario and backend the latest fork run that has a twin of the same bytes, page size,
-- kernel, machine and value of every parameter that both have, and the latest such twin.
--   fork_run: key of the fork run
--   ool_run: key of its twin
--   fork_run_id: the fork run
--   ool_run_id: its twin
--   fork_scenario: name
--   ool_scenario: name
--   region_bytes: most bytes of regions that one actor had at once
CREATE VIEW fork_ool_pairs AS
SELECT fork_run, ool_run, fork_run_id, ool_run_id, fork_scenario, ool_scenario, backend, page_size,
       region_bytes
FROM (SELECT f.run AS fork_run, o.run AS ool_run, f.run_id AS fork_run_id, o.run_id AS ool_run_id,
             f.scenario AS fork_scenario, o.scenario AS ool_scenario, f.backend, f.page_size,
             f.region_bytes,
             row_number() OVER (PARTITION BY f.scenario, f.backend
                                ORDER BY f.started_at DESC, f.run_id DESC,
                                         o.started_at DESC, o.run_id DESC) AS age
      FROM newest_runs f
           JOIN newest_runs o ON o.backend = f.backend AND o.page_size = f.page_size
                             AND o.region_bytes = f.region_bytes
                             AND o.kernel IS f.kernel AND o.machine = f.machine
                             AND (o.scenario = f.twin OR f.scenario = o.twin)
      WHERE f.forks AND NOT f.sends AND o.sends
        AND NOT EXISTS (SELECT 1 FROM json_each(f.params) a JOIN json_each(o.params) b USING (key)
                        WHERE a.value IS NOT b.value))
WHERE age = 1;

-- Fork and out-of-line transfer side by side, a row per phase, for the pairs of fork_ool_pairs.
-- Steps that follow each other in one phase are one row; a phase that comes back has occurrence 2.
-- Time, faults and copied pages are summed over the row's steps, everything else is as its last
-- step left it. The fork's `transferred` stands beside the message's `received`: the other side has
-- the memory and has not touched it; `in_transit` has no fork side.
--   fork_run_id: the fork run
--   ool_run_id: its twin
--   phase: the phase; `transferred` stands for the message's `received` too
--   occurrence: 1 for the first time the phase comes
--   fork_scenario: name
--   ool_scenario: name
--   region_bytes: most bytes of regions that one actor had at once
--   fork_phase: phase as the fork run has it
--   ool_phase: as the twin has it
--   fork_step: last step of the row
--   ool_step: of the twin
--   fork_time_ns: time of the phase's actions (fork side)
--   ool_time_ns: time of the phase's actions (message side)
--   fork_minflt: faults without disk of the acting processes (fork side)
--   ool_minflt: faults without disk of the acting processes (message side)
--   fork_copied: pages that writes copied (fork side)
--   ool_copied: pages that writes copied (message side)
--   fork_mapped: pages in page tables, observed regions of all actors (fork side)
--   ool_mapped: pages in page tables, observed regions of all actors (message side)
--   fork_resident: pages resident behind them (fork side)
--   ool_resident: pages resident behind them (message side)
--   fork_rss_kb: sum of RSS over actors (fork side)
--   ool_rss_kb: sum of RSS over actors (message side)
--   fork_pss_kb: sum of PSS (fork side)
--   ool_pss_kb: sum of PSS (message side)
--   fork_uss_kb: sum of USS (fork side)
--   ool_uss_kb: sum of USS (message side)
--   fork_pagetable_kb: page tables of the actors (fork side)
--   ool_pagetable_kb: page tables of the actors (message side)
--   fork_distinct_kb: distinct frames (fork side)
--   ool_distinct_kb: distinct frames (message side)
--   fork_object_only_kb: object pages that nobody maps (fork side)
--   ool_object_only_kb: object pages that nobody maps (message side)
--   fork_in_transit_kb: memory in messages (fork side)
--   ool_in_transit_kb: memory in messages (message side)
--   fork_superseded_kb: pages nobody sees any more (fork side)
--   ool_superseded_kb: pages nobody sees any more (message side)
--   fork_system_kb: the system's figure (fork side)
--   ool_system_kb: the system's figure (message side)
--   unknown_keys: columns with commas: a NULL in one of them is unknown, in another does not apply
--   inferred_keys: columns with commas whose value was concluded, not measured
CREATE VIEW fork_vs_ool AS
WITH pair AS MATERIALIZED (SELECT * FROM fork_ool_pairs),
side (run) AS (SELECT fork_run FROM pair UNION SELECT ool_run FROM pair),
lane AS (
    SELECT s.run, s.step, s.phase, s.dur_ns,
           CASE s.phase WHEN 'received' THEN 'transferred' ELSE s.phase END AS lane
    FROM side JOIN step s USING (run)),
marked AS (
    SELECT *, lane IS NOT lag(lane) OVER (PARTITION BY run ORDER BY step) AS starts FROM lane),
numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY run, lane ORDER BY step) AS occurrence FROM marked),
stretch AS (
    SELECT run, lane, occurrence, max(phase) AS phase, min(step) AS first_step,
           max(step) AS last_step, sum(dur_ns) AS time_ns
    FROM numbered GROUP BY run, lane, occurrence),
summed AS (
    SELECT t.*, f.*,
           CASE WHEN EXISTS (SELECT 1 FROM unknown u
                             WHERE u.run = t.run AND u.step BETWEEN first_step AND last_step
                               AND u.quantity = 'minflt') THEN NULL
           ELSE (SELECT sum(minflt) FROM process p
                 WHERE p.run = t.run AND p.step BETWEEN first_step AND last_step) END AS minflt,
           CASE WHEN EXISTS (SELECT 1 FROM unknown u
                             WHERE u.run = t.run AND u.step BETWEEN first_step AND last_step
                               AND u.quantity = 'copied') THEN NULL
           ELSE (SELECT sum(copied) FROM region g
                 WHERE g.run = t.run AND g.step BETWEEN first_step AND last_step) END AS copied,
           (SELECT group_concat(quantity) FROM unknown u
            WHERE u.run = t.run AND u.step = last_step) AS unknowns,
           (SELECT group_concat(q.value) FROM json_each('["copied", "mapped", "resident"]') q
            WHERE EXISTS (SELECT 1 FROM region g
                          WHERE g.run = t.run AND g.step BETWEEN first_step AND last_step
                            AND instr(' ' || g.inferred || ' ', ' ' || q.value || ' '))) AS concluded
    FROM stretch t
         LEFT JOIN (SELECT g.run, g.step,
                           CASE count(mapped) WHEN count(*) THEN sum(mapped) END AS mapped,
                           CASE count(resident) WHEN count(*) THEN sum(resident) END AS resident
                    FROM side JOIN region g USING (run) WHERE observed <> 'message'
                    GROUP BY g.run, g.step) f ON f.run = t.run AND f.step = t.last_step)
SELECT p.fork_run_id, p.ool_run_id, k.lane AS phase, k.occurrence, p.fork_scenario, p.ool_scenario,
       p.backend, p.page_size, p.region_bytes, f.phase AS fork_phase, o.phase AS ool_phase,
       f.last_step AS fork_step, o.last_step AS ool_step,
       f.time_ns AS fork_time_ns, o.time_ns AS ool_time_ns,
       f.minflt AS fork_minflt, o.minflt AS ool_minflt,
       f.copied AS fork_copied, o.copied AS ool_copied,
       f.mapped AS fork_mapped, o.mapped AS ool_mapped,
       f.resident AS fork_resident, o.resident AS ool_resident,
       ft.sum_rss_kb AS fork_rss_kb, ot.sum_rss_kb AS ool_rss_kb,
       ft.sum_pss_kb AS fork_pss_kb, ot.sum_pss_kb AS ool_pss_kb,
       ft.sum_uss_kb AS fork_uss_kb, ot.sum_uss_kb AS ool_uss_kb,
       ft.pagetable_kb AS fork_pagetable_kb, ot.pagetable_kb AS ool_pagetable_kb,
       ft.distinct_kb AS fork_distinct_kb, ot.distinct_kb AS ool_distinct_kb,
       ft.object_only_kb AS fork_object_only_kb, ot.object_only_kb AS ool_object_only_kb,
       ft.in_transit_kb AS fork_in_transit_kb, ot.in_transit_kb AS ool_in_transit_kb,
       ft.superseded_kb AS fork_superseded_kb, ot.superseded_kb AS ool_superseded_kb,
       ft.system_kb AS fork_system_kb, ot.system_kb AS ool_system_kb,
       coalesce('fork_' || replace(f.unknowns, ',', ',fork_') || ',', '')
           || coalesce('ool_' || replace(o.unknowns, ',', ',ool_'), '') AS unknown_keys,
       coalesce('fork_' || replace(f.concluded, ',', ',fork_') || ',', '')
           || coalesce('ool_' || replace(o.concluded, ',', ',ool_'), '') AS inferred_keys
FROM pair p
     JOIN (SELECT fork_run, ool_run, lane, occurrence
           FROM pair JOIN stretch ON run IN (fork_run, ool_run)
           GROUP BY fork_run, ool_run, lane, occurrence) k USING (fork_run, ool_run)
     LEFT JOIN summed f ON f.run = p.fork_run AND f.lane = k.lane AND f.occurrence = k.occurrence
     LEFT JOIN summed o ON o.run = p.ool_run AND o.lane = k.lane AND o.occurrence = k.occurrence
     LEFT JOIN step_totals ft ON ft.run = p.fork_run AND ft.step = f.last_step
     LEFT JOIN step_totals ot ON ot.run = p.ool_run AND ot.step = o.last_step
ORDER BY p.fork_scenario, p.backend, coalesce(o.first_step, f.first_step + 0.5);

-- The pairs of fork_vs_ool in a few numbers. A sum is NULL if one of its figures is unknown.
--   fork_run_id: the fork run
--   ool_run_id: its twin
--   fork_scenario: name
--   ool_scenario: name
--   fork_ns: time to hand over: the action that leads to `transferred`, out of line to `in_transit`
--     and `received`
--   ool_ns: the same of the message
--   fork_copied: pages that writes copied, over all steps
--   ool_copied: the same of the message
--   fork_minflt: faults without disk of the acting processes, over all steps
--   ool_minflt: the same of the message
--   fork_inferred: 1: `fork_copied` was concluded in part
--   ool_inferred: the same of the message
--   region_bytes: most bytes of regions that one actor had at once
--   fork_write_ns: time of the writes after that, by both sides
--   ool_write_ns: the same of the message
CREATE VIEW fork_vs_ool_sums AS
WITH unclear (run_id, quantity) AS (
    SELECT DISTINCT run_id, quantity FROM run JOIN unknown USING (run)
    WHERE quantity IN ('copied', 'minflt'))
SELECT fork_run_id, ool_run_id, fork_scenario, ool_scenario, backend, page_size, region_bytes,
       sum(fork_time_ns) FILTER (WHERE phase IN ('in_transit', 'transferred')) AS fork_ns,
       sum(ool_time_ns) FILTER (WHERE phase IN ('in_transit', 'transferred')) AS ool_ns,
       iif((fork_run_id, 'copied') IN unclear, NULL, sum(fork_copied)) AS fork_copied,
       iif((ool_run_id, 'copied') IN unclear, NULL, sum(ool_copied)) AS ool_copied,
       iif((fork_run_id, 'minflt') IN unclear, NULL, sum(fork_minflt)) AS fork_minflt,
       iif((ool_run_id, 'minflt') IN unclear, NULL, sum(ool_minflt)) AS ool_minflt,
       max(instr(inferred_keys, 'fork_copied')) > 0 AS fork_inferred,
       max(instr(inferred_keys, 'ool_copied')) > 0 AS ool_inferred,
       sum(fork_time_ns) FILTER (WHERE phase LIKE '%wrote%') AS fork_write_ns,
       sum(ool_time_ns) FILTER (WHERE phase LIKE '%wrote%') AS ool_write_ns
FROM fork_vs_ool
GROUP BY fork_run_id, ool_run_id
ORDER BY fork_scenario, backend, region_bytes, fork_run_id;
