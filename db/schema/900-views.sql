-- The views that users, queries and reports rely on. Words are text, *_kb are KiB, *_bytes bytes, page
-- counts bare, *_ns nanoseconds of CLOCK_MONOTONIC. Views are made anew when this text changes: no
-- migration is needed. db/REFERENCE.md is made of what stands above each view (tests/unit/test_schema.c).

-- In every view these columns mean the same:
--   run_id: the run, `YYYYMMDD-HHMMSS-<16 hex digits>` (UTC)
--   scenario: name of the scenario
--   backend: `linux` or `gnumach`
--   step: number of the step, from 1
--   phase: `mapped`, `populated`, `in_transit`, `transferred`, `received`, `receiver_read`,
--     `receiver_wrote`, `sender_wrote`, `settled`, `released`
--   case_name: case of the scenario the row belongs to, or NULL
--   page_size: bytes in a page of this run

-- One row per run.
--   title: its title
--   question: the question it answers
--   params: parameters as a JSON object
--   kernel: kernel the actors ran on
--   status: `running`, `complete` (every step carried out), `failed`, `interrupted`, `crashed` (the
--     lab died)
--   started_at: UTC, ISO 8601 with microseconds
--   duration_ns: whole run
--   duration_ms: the same in milliseconds
--   message: what went wrong, or NULL
--   twin: scenario that does the same the other way (fork or out of line)
--   no_twin: why there is none
--   steps: steps stored
--   region_bytes: most bytes of regions that one actor had at once
--   held: expectations that held
--   failed: that failed
--   not_checked: that met an unknown value
--   machine: JSON: processors, memory, versions
--   capabilities: JSON: what the machine let the lab see
--   source: the scenario's text
--   answer: what its steps say of the question, one after the other; NULL: nothing
--   series_id: the series it belongs to, `series-YYYYMMDD-HHMMSS-<16 hex digits>` (UTC), or NULL
--   warm_up: 1: the first of its combination in the series, which warms up and is not counted; 0: it
--     is counted; NULL: it is of no series
CREATE VIEW runs AS
SELECT run_id, scenario, title, question, backend, params, kernel, page_size, status, started_at,
       duration_ns, round(duration_ns / 1e6, 3) AS duration_ms, message, twin, no_twin,
       (SELECT count(*) FROM step s WHERE s.run = r.run) AS steps,
       (SELECT max(b) FROM (SELECT sum(pages) * r.page_size AS b FROM region g
                            WHERE g.run = r.run AND g.observed <> 'message'
                            GROUP BY g.step, g.observed)) AS region_bytes,
       (SELECT count(*) FROM expectation x WHERE x.run = r.run AND x.result = 'held') AS held,
       (SELECT count(*) FROM expectation x WHERE x.run = r.run AND x.result = 'failed') AS failed,
       (SELECT count(*) FROM expectation x
        WHERE x.run = r.run AND x.result = 'not checked') AS not_checked,
       machine, capabilities, source,
       (SELECT group_concat(answer, ' ')
        FROM (SELECT answer FROM step s WHERE s.run = r.run AND answer IS NOT NULL ORDER BY step))
           AS answer,
       (SELECT series_id FROM series g WHERE g.series = r.series) AS series_id, warm_up
FROM run r
ORDER BY started_at, run_id;

-- The latest complete run of each scenario on each backend: what most of db/queries look at. A run
-- that warms a series up is none of them.
--   params: parameters as a JSON object
--   started_at: UTC, ISO 8601 with microseconds
CREATE VIEW latest_runs AS
SELECT run_id, scenario, backend, params, started_at
FROM (SELECT *, row_number() OVER (PARTITION BY scenario, backend
                                   ORDER BY started_at DESC, run_id DESC) AS age
      FROM run WHERE status = 'complete' AND warm_up IS NOT 1)
WHERE age = 1
ORDER BY scenario, backend;

-- One row per run of a series: one command that carried out combinations of scenario, backend and
-- parameters many times.
--   series_id: the series, `series-YYYYMMDD-HHMMSS-<16 hex digits>` (UTC)
--   params: all parameters as a JSON object: with scenario and backend the combination
--   setting: those of them that were set for the series, `pages=16 memory=ordinary`; empty: none
--   warm_up: 1: the first of its combination, which warms up and is not counted; else 0
--   status: `running`, `complete` (every step carried out), `failed`, `interrupted`, `crashed` (the
--     lab died)
--   started_at: UTC, ISO 8601 with microseconds
--   duration_ns: whole run
--   message: what went wrong, or NULL
CREATE VIEW series_runs AS
SELECT g.series_id, r.run_id, r.scenario, r.backend, r.params,
       coalesce((SELECT group_concat(key || '=' || value, ' ') FROM json_each(r.params)
                 WHERE key IN (SELECT key FROM json_each(g.spec, '$.params'))), '') AS setting,
       r.warm_up, r.status, r.started_at, r.duration_ns, r.message
FROM series g JOIN run r USING (series)
ORDER BY g.started_at, g.series_id, r.started_at, r.run_id;

-- One row per step.
--   actor: who acted; NULL for a look without an action
--   action: what it did, as the scenario spells it
--   region: region the action names, or NULL
--   published: key of the published row that the step reproduces, or NULL
--   start_ns: when the action began
--   dur_ns: how long the action took, as the actor measured it
--   t_ns: when reading began, CLOCK_MONOTONIC (a guest: its own clock)
--   answer: what it says of the scenario's question, with what was seen in it; NULL: nothing
CREATE VIEW steps AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, s.actor, s.action, s.case_name, s.region,
       s.published, s.start_ns, s.dur_ns, s.t_ns, s.answer
FROM step s JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step;

-- One row per step and observed region of each live actor, in step order, and one per message in
-- transit (observed `message`). Page counts are pages of the region.
--   actor: who acted; NULL for a look without an action
--   action: what it did, as the scenario spells it
--   observed: whose region it is: an actor, or `message` for memory in transit
--   region: name of the region
--   share_mode: `SM_COW`, `SM_PRIVATE`, `SM_EMPTY`, `SM_SHARED`, `SM_TRUESHARED`,
--     `SM_PRIVATE_ALIASED`, `SM_SHARED_ALIASED`, `SM_LARGE_PAGE`
--   ref_count: anonymous memory: largest map count of a resident page; memory object: processes
--     that map it plus messages that carry it; GNU Mach: the object's references
--   pages: size of the region
--   entry_pages: size of the kernel's mapping that holds it (neighbours may have merged)
--   resident: in physical memory behind the region, mapped here or not
--   mapped: in this process's page table
--   none: not in the page table
--   zero: the shared zero page
--   exclusive: anonymous, this process's alone
--   cow: anonymous, mapped elsewhere too, or its slot of swap is held by another: the next write
--     copies; GNU Mach: copies, or keeps it behind the first copy of a chain of objects that nobody
--     else has
--   debt: mapped here alone, still write-protected from an earlier fork
--   object: a private mapping showing its memory object's page
--   shared: a page of a shared mapping
--   swapped: in swap
--   huge: part of a huge page (counted beside the states)
--   at_risk: in memory that may be written: the next write costs a new frame; GNU Mach: what a
--     write of all pages would copy, which of a chain of objects that nobody else has is one page
--   write_outcome: what this step's write was: `first_touch`, `copied`, `reused`, `no_fault`,
--     `swapped_in`, `mixed`; NULL if it wrote nothing here
--   first_touch: written pages that did not exist
--   copied: written pages that got a new frame
--   reused: that kept their frame after a fault (GNU Mach: also `exclusive` ones that the task had
--     not touched yet)
--   no_fault: that kept it without one
--   protection: `rw-` and so on
--   inheritance: what fork does with it: `copy`, `share`, `none`, `zero`
--   rss_kb: resident set of the observed process
--   pss_kb: proportional set size
--   uss_kb: unique set size: memory of this process alone
--   system_kb: the system's own figure for the run (Linux: the run's memory cgroup)
--   distinct_kb: frames of all actors, each counted once
--   t_ns: when reading began, CLOCK_MONOTONIC (a guest: its own clock)
--   dur_ns: how long the action took, as the actor measured it
--   outside: pages whose frame something outside the run maps too
--   needs_copy: the Mach entry's needs_copy flag; NULL elsewhere
--   range_start: virtual address
--   range_end: end of it
--   entry_start: the kernel's mapping
--   entry_end: end of it
--   runs_cut: 1: page_runs holds only the first stretches; the counts here are exact all the same
--   inferred: names of values in this row that were concluded, not measured, separated by spaces;
--     NULL if none
--   published: key of the published row that the step reproduces, or NULL
--   nr: order of the region within the step, from 0
--   swapped_in: written pages that were in swap
CREATE VIEW timeline AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, s.actor, s.action, g.observed, g.region,
       g.case_name, g.share_mode, g.ref_count, g.pages, g.entry_pages, g.resident, g.mapped, g.none,
       g.zero, g.exclusive, g.cow, g.debt, g.object, g.shared, g.swapped, g.huge, g.at_risk,
       g.write_outcome, g.first_touch, g.copied, g.reused, g.no_fault, g.protection, g.inheritance,
       p.rss_kb, p.pss_kb, p.uss_kb, s.system_kb, s.distinct_kb, s.t_ns, s.dur_ns, g.outside,
       g.needs_copy, g.range_start, g.range_end, g.entry_start, g.entry_end, g.runs_cut, g.inferred,
       s.published, g.nr, r.page_size, g.swapped_in
FROM region g
     JOIN step s USING (run, step)
     JOIN run r USING (run)
     LEFT JOIN process p ON p.run = g.run AND p.step = g.step AND p.actor = g.observed
ORDER BY r.started_at, r.run_id, s.step, g.nr;

-- What each write did with the pages that it wrote, one row per step that writes and region.
--   writer: who wrote
--   copied_kb: `copied` in KiB
--   write_outcome: what the write was: `first_touch`, `copied`, `reused`, `no_fault`, `swapped_in`,
--     `mixed`; NULL if it wrote nothing here
--   first_touch: written pages that did not exist
--   copied: written pages that got a new frame
--   reused: that kept their frame after a fault (GNU Mach: also `exclusive` ones that the task had
--     not touched yet)
--   no_fault: that kept it without one
--   swapped_in: written pages that were in swap
--   region: name of the region
--   inferred: names of values in this row that were concluded, not measured, separated by spaces;
--     NULL if none
CREATE VIEW copies AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, g.observed AS writer, g.region, g.case_name,
       g.write_outcome, g.first_touch, g.copied, g.reused, g.no_fault,
       g.copied * r.page_size / 1024 AS copied_kb, g.swapped_in, g.inferred
FROM region g
     JOIN step s USING (run, step)
     JOIN run r USING (run)
WHERE g.observed = s.actor AND s.action = 'write'
ORDER BY r.started_at, r.run_id, s.step, g.nr;

-- Who carries debt: a row per step and region with pages that are mapped here alone and fault once
-- more because of an earlier sharer, or of which that is unknown.
--   debt_pages: pages in debt; NULL: unknown
--   debt_kb: the same in KiB
--   processes_alive: live processes then
--   later_writes: the region's later writes, `STEP: OUTCOME`; NULL: none
--   inferred: 1: concluded, not measured
--   observed: whose region it is: an actor, or `message` for memory in transit
--   region: name of the region
CREATE VIEW debts AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, g.observed, g.region, g.case_name,
       g.debt AS debt_pages, g.debt * r.page_size / 1024 AS debt_kb,
       (SELECT t.actors FROM step_totals t WHERE t.run = g.run AND t.step = g.step)
           AS processes_alive,
       (SELECT group_concat(n.step || ': ' || n.write_outcome, ', ') FROM region n
        WHERE n.run = g.run AND n.observed = g.observed AND n.region = g.region
          AND n.case_name IS g.case_name AND n.step > g.step AND n.write_outcome IS NOT NULL)
           AS later_writes,
       instr(' ' || ifnull(g.inferred, '') || ' ', ' debt ') > 0 AS inferred
FROM region g
     JOIN step s USING (run, step)
     JOIN run r USING (run)
WHERE g.debt > 0
   OR (g.debt IS NULL AND EXISTS (SELECT 1 FROM unknown u
                                  WHERE u.run = g.run AND u.step = g.step AND u.quantity = 'debt'
                                    AND u.observed = g.observed AND u.region = g.region))
ORDER BY r.started_at, r.run_id, s.step, g.nr;

-- How much more each actor can grow: pages of its observed regions whose next write costs a new
-- frame, a row per step and actor.
--   at_risk_pages: pages; NULL as soon as it is not known of one region
--   at_risk_kb: the same in KiB
--   known_pages: the same over those regions of which it is known
--   known_kb: the same in KiB
--   inferred: 1: concluded, not measured, of one region at least
--   unknown: 1: of a region it is unknown (where that is 0 and the sum NULL, it does not apply to
--     one)
--   actor: whose regions
--   rss_kb: resident set of the actor
--   mem_available_kb: memory the system could still give
CREATE VIEW at_risk AS
SELECT *, at_risk_pages * page_size / 1024 AS at_risk_kb, known_pages * page_size / 1024 AS known_kb
FROM (SELECT r.run_id, r.scenario, r.backend, g.step, s.phase, g.observed AS actor,
             CASE count(g.at_risk) WHEN count(*) THEN sum(g.at_risk) END AS at_risk_pages,
             sum(g.at_risk) AS known_pages, r.page_size,
             max(instr(' ' || ifnull(g.inferred, '') || ' ', ' at_risk ')) > 0 AS inferred,
             EXISTS (SELECT 1 FROM unknown u WHERE u.run = g.run AND u.step = g.step
                     AND u.observed = g.observed AND u.quantity = 'at_risk') AS unknown,
             p.rss_kb, s.mem_available_kb
      FROM region g
           JOIN step s USING (run, step)
           JOIN run r USING (run)
           LEFT JOIN process p ON p.run = g.run AND p.step = g.step AND p.actor = g.observed
      WHERE g.observed <> 'message'
      GROUP BY r.run_id, g.step, g.observed);

-- What each live actor seems to use after each step.
--   actor: whose footprint
--   acting: 1: this actor carried out the step
--   rss_kb: resident set
--   pss_kb: proportional set size
--   uss_kb: unique set size: memory of this process alone
--   peak_kb: largest resident set so far
--   pagetable_kb: page tables
--   virtual_kb: address space
--   swap_kb: in swap
--   minflt: faults without disk within the action (a watch: since the row before)
--   majflt: faults with disk, likewise
--   dur_ns: the action alone, if this actor acted
--   cow_faults: copy-on-write faults, likewise, where the kernel counts them
--   minflt_total: since the process began
--   majflt_total: since the process began
--   pid: process number as the lab saw it
--   inferred: names of values in this row that were concluded, not measured, separated by spaces;
--     NULL if none
--   exclusive_kb: memory of this process alone by its page states, all mappings (a watch)
--   shared_parent_kb: shared with its parent (a watch); without frames at most so much, and named
--     in `inferred`
--   debt_kb: mapped here alone, still write-protected from an earlier fork (a watch)
--   at_risk_kb: whose next write costs a new frame (a watch)
--   copied_kb: got a new frame since the row before (a watch)
--   t_ns: when reading began, CLOCK_MONOTONIC (a guest: its own clock)
--   cpu_ns: CPU time that it used within the action, if this actor acted
CREATE VIEW footprint AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, p.actor, p.acting, p.rss_kb, p.pss_kb,
       p.uss_kb, p.peak_kb, p.pagetable_kb, p.virtual_kb, p.swap_kb, p.minflt, p.majflt, p.dur_ns,
       p.cow_faults, p.minflt_total, p.majflt_total, p.pid, p.inferred, p.exclusive_kb,
       p.shared_parent_kb, p.debt_kb, p.at_risk_kb, p.copied_kb, s.t_ns, p.cpu_ns
FROM process p
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, p.nr;

-- The sums behind footprint_vs_system, by run key.
--   run: the run's key, for joins with tables
--   actors: live processes
--   sum_rss_kb: sum of RSS over actors
--   sum_pss_kb: of PSS
--   sum_uss_kb: of USS
--   pagetable_kb: page tables of the actors
--   distinct_kb: frames of all actors, each counted once
--   distinct_file_kb: the part of them that is page cache of files, which the run's cgroup is not
--     charged for
--   object_only_kb: resident pages of memory objects that an actor holds and no actor maps
--   in_transit_kb: the same of objects that only messages hold
--   superseded_kb: the part of object_only_kb that nobody can see any more: every mapping hides the
--     page behind a private copy, and no message carries it (a descriptor alone shows nothing)
--   system_kb: the system's own figure for the run (Linux: the run's memory cgroup)
--   system_source: what system_kb is, in words
--   system_tolerance_kb: how far that figure may be off
CREATE VIEW step_totals AS
-- A watch stores rows of changed processes only, and the sums with the sample. Each sum is a subquery
-- of its own, not one grouping of all rows: a query for one run then reads that run only.
SELECT s.run, s.step,
       ifnull(s.processes, (SELECT count(*) FROM process p
                            WHERE p.run = s.run AND p.step = s.step)) AS actors,
       CASE WHEN s.processes IS NOT NULL THEN s.sum_rss_kb
            ELSE (SELECT CASE WHEN count(p.rss_kb) = count(*) THEN sum(p.rss_kb) END
                  FROM process p WHERE p.run = s.run AND p.step = s.step) END AS sum_rss_kb,
       CASE WHEN s.processes IS NOT NULL THEN s.sum_pss_kb
            ELSE (SELECT CASE WHEN count(p.pss_kb) = count(*) THEN sum(p.pss_kb) END
                  FROM process p WHERE p.run = s.run AND p.step = s.step) END AS sum_pss_kb,
       CASE WHEN s.processes IS NOT NULL THEN s.sum_uss_kb
            ELSE (SELECT CASE WHEN count(p.uss_kb) = count(*) THEN sum(p.uss_kb) END
                  FROM process p WHERE p.run = s.run AND p.step = s.step) END AS sum_uss_kb,
       CASE WHEN s.processes IS NOT NULL THEN s.sum_pagetable_kb
            ELSE (SELECT CASE WHEN count(p.pagetable_kb) = count(*) THEN sum(p.pagetable_kb) END
                  FROM process p WHERE p.run = s.run AND p.step = s.step) END AS pagetable_kb,
       s.distinct_kb, s.distinct_file_kb, s.object_only_kb, s.in_transit_kb, s.superseded_kb,
       s.system_kb, s.system_source, s.system_tolerance_kb
FROM step s;

-- What the processes seem to use against what the system really uses, per step. `residual_kb =
-- system_kb - (distinct_kb - distinct_file_kb + object_only_kb + in_transit_kb + pagetable_kb)`. A
-- sum is NULL as soon as one actor's figure is unknown. Of the parts beside the distinct frames one
-- that does not apply adds nothing; one that is unknown leaves the residual unknown.
--   actors: live processes
--   sum_rss_kb: sum of RSS over actors
--   sum_pss_kb: of PSS
--   sum_uss_kb: of USS
--   distinct_kb: frames of all actors, each counted once
--   distinct_file_kb: the part of them that is page cache of files, which the run's cgroup is not
--     charged for
--   object_only_kb: resident pages of memory objects that an actor holds and no actor maps
--   in_transit_kb: the same of objects that only messages hold
--   superseded_kb: the part of object_only_kb that nobody can see any more: every mapping hides the
--     page behind a private copy, and no message carries it (a descriptor alone shows nothing)
--   pagetable_kb: page tables of the actors
--   system_kb: the system's own figure for the run (Linux: the run's memory cgroup)
--   system_source: what system_kb is, in words
--   system_tolerance_kb: how far that figure may be off
--   residual_kb: what the parts do not explain
--   page_tables_kb: page tables of the whole system
--   mem_free_kb: free memory of the system
--   mem_available_kb: memory the system could still give
--   anon_pages_kb: anonymous memory of the system
--   shmem_kb: shared memory and memfds of the system
--   committed_as_kb: memory the system has promised
--   commit_limit_kb: how much it may promise
--   cgroup_limit_kb: limit of the run's cgroup
--   swap_free_kb: free swap
--   inferred: names of values in this row that were concluded, not measured, separated by spaces;
--     NULL if none
--   unknown_keys: columns with commas: a NULL in one of them is unknown, in another does not apply
CREATE VIEW footprint_vs_system AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, t.actors, t.sum_rss_kb, t.sum_pss_kb,
       t.sum_uss_kb, t.distinct_kb, t.distinct_file_kb, t.object_only_kb, t.in_transit_kb,
       t.superseded_kb, t.pagetable_kb, t.system_kb, t.system_source, t.system_tolerance_kb,
       CASE WHEN NOT EXISTS (SELECT 1 FROM unknown u
                             WHERE u.run = s.run AND u.step = s.step
                               AND (u.quantity = 'pagetable_kb'
                                    OR (u.observed IS NULL
                                        AND u.quantity IN ('distinct_file_kb', 'object_only_kb',
                                                           'in_transit_kb')))) THEN
           t.system_kb - (t.distinct_kb - ifnull(t.distinct_file_kb, 0)
                          + ifnull(t.object_only_kb, 0) + ifnull(t.in_transit_kb, 0)
                          + ifnull(t.pagetable_kb, 0)) END AS residual_kb,
       s.page_tables_kb, s.mem_free_kb, s.mem_available_kb, s.anon_pages_kb, s.shmem_kb,
       s.committed_as_kb, s.commit_limit_kb, s.cgroup_limit_kb, s.swap_free_kb, s.inferred,
       ifnull((SELECT group_concat(iif(u.quantity IN ('rss_kb', 'pss_kb', 'uss_kb'), 'sum_', '')
                                   || u.quantity, ',')
               FROM unknown u WHERE u.run = s.run AND u.step = s.step AND u.region IS NULL), '')
           || ',residual_kb' AS unknown_keys
FROM step s
     JOIN run r USING (run)
     JOIN step_totals t USING (run, step)
ORDER BY r.started_at, r.run_id, s.step;

-- Frames that two actors have in common, per step.
--   actor_a: one
--   actor_b: the other
--   region_frames: common frames in observed regions
--   frames: in the whole processes
--   region_kb: region_frames in KiB
--   shared_kb: frames in KiB
--   inferred: names of values in this row that were concluded, not measured, separated by spaces;
--     NULL if none
CREATE VIEW sharing AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, h.actor_a, h.actor_b, h.region_frames,
       h.frames, h.region_frames * r.page_size / 1024 AS region_kb,
       h.frames * r.page_size / 1024 AS shared_kb, h.inferred
FROM shared_frames h
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, h.nr;

-- One row per expected value, as the run judged it, in the words that its scenario (`runs.source`)
-- had then: a GNU Mach run of before schema 6 can have `debt` here for pages that are `cow` in
-- `timeline` now.
--   observed: what it is about, as the scenario says: `parent.r`, `totals`, ...
--   key: the quantity
--   expected: value or range
--   measured: value; NULL if unknown
--   result: `held`, `failed`, `not checked`
--   reason: why it was not checked
--   line: in the scenario's text
CREATE VIEW expectations AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, x.observed, x.key, x.expected, x.measured,
       x.result, x.reason, x.line
FROM expectation x
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, x.nr;

-- One row per value that the machine did not give: it is NULL in the other views.
--   observed: actor, `message`, a pair `a&b`, or NULL for the step's totals
--   region: or NULL
--   quantity: the column without a value; with its table where that is not plain: `object refs`,
--     `check pss_distinct left`, `cost smaps faults_induced`
--   reason: why
--   unlocks: what would give it; NULL if nothing would
CREATE VIEW unknowns AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, u.observed, u.region, u.case_name,
       u.quantity, w.reason, w.unlocks
FROM unknown u
     JOIN step s USING (run, step)
     JOIN run r USING (run)
     JOIN reason w ON w.code = u.why
ORDER BY r.started_at, r.run_id, s.step, u.nr;

-- Why values of a run are unknown, a row per reason.
--   reason: why
--   unlocks: what would give them; NULL if nothing would
--   n: how many values
--   quantities: which, with commas
CREATE VIEW unknown_reasons AS
SELECT r.run_id, r.scenario, r.backend, w.reason, w.unlocks, count(*) AS n,
       (SELECT group_concat(quantity, ', ')
        FROM (SELECT DISTINCT d.quantity FROM unknown d
              WHERE d.run = u.run AND d.why = u.why ORDER BY d.quantity)) AS quantities
FROM unknown u
     JOIN run r USING (run)
     JOIN reason w ON w.code = u.why
GROUP BY r.run_id, u.why;

-- Two sources for one fact.
--   name: which check
--   observed: actor; NULL: the whole run
--   region: or NULL
--   left_value: one source
--   right_value: the other
--   tolerance: how far apart they may be
--   verdict: `held`, `differs`, `not checked`
--   detail: what each side is
--   told: the check in words: name, place, left against right, tolerance
CREATE VIEW checks AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, c.name, c.observed, c.region, c.case_name,
       c.left_value, c.right_value, c.tolerance, c.verdict, c.detail,
       c.name || coalesce(' of ' || c.observed || coalesce('.' || c.region, '')
                          || coalesce('#' || c.case_name, ''), '')
           || ': ' || coalesce(c.left_value, 'unknown') || ' against ' || coalesce(c.right_value, 'unknown')
           || iif(c.tolerance > 0, ' (tolerance ' || c.tolerance || ')', '') AS told
FROM cross_check c
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, c.nr;

-- What the receiver of a range that does not fill its pages saw beside it: the check `stray_bytes`.
--   actor: who received
--   stray: bytes beside the range that are not zero
--   seen: `zero`, `the sender's`, `not checked`
--   detail: what was looked at
--   region: name of the region
CREATE VIEW stray_bytes AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, c.observed AS actor, c.region, c.case_name,
       c.left_value AS stray, CASE c.verdict WHEN 'held' THEN 'zero' WHEN 'differs' THEN 'the sender''s'
                              ELSE c.verdict END AS seen, c.detail
FROM cross_check c
     JOIN step s USING (run, step)
     JOIN run r USING (run)
WHERE c.name = 'stray_bytes'
ORDER BY r.started_at, r.run_id, s.step, c.nr;

-- What a step's writes did with the pages against what their states had promised (check
-- `prediction`): one row per region and state, and one for each kind of pages of which nothing was
-- promised. Could be compared: `held + failed`.
--   observed: actor
--   region: name of the region
--   state: that the pages had before the write, as in timeline; NULL: nothing was promised
--   promise: what it promises, in words; NULL likewise
--   pages: all of the row: the sum of the five counts below
--   held: did what their state promises
--   failed: did not
--   either: of which the kernel may decide either way
--   hidden: in debt, yet copied, for a cause that does not show: a pipe or a pinned page may hold a
--     reference
--   untold: of which it could not be told what their state promised
CREATE VIEW predictions AS
-- Rows of the check without a left value count the pages of which nothing was promised; the detail's
-- first word says why (probes/observation.c).
SELECT run_id, scenario, backend, step, phase, observed, region, case_name,
       iif(kind = 'told', substr(detail, 1, instr(detail, ' ') - 1), NULL) AS state,
       iif(kind = 'told', substr(detail, instr(detail, '(') + 1,
                                 instr(detail, ')') - instr(detail, '(') - 1), NULL) AS promise,
       right_value AS pages,
       iif(kind = 'told', left_value, 0) AS held,
       iif(kind = 'told', right_value - left_value, 0) AS failed,
       iif(kind = 'either', right_value, 0) AS either,
       iif(kind = 'hidden', right_value, 0) AS hidden,
       iif(kind = 'untold', right_value, 0) AS untold
FROM (SELECT *, CASE WHEN left_value IS NOT NULL THEN 'told' WHEN detail LIKE 'debt %' THEN 'hidden'
                     WHEN detail LIKE 'untold %' THEN 'untold' ELSE 'either' END AS kind
      FROM checks WHERE name = 'prediction');

-- What looking cost, per step and probe.
--   probe: which reader
--   dur_ns: time spent reading
--   calls: system calls or reads
--   bytes: bytes read
--   faults_induced: faults the target took meanwhile
CREATE VIEW probe_cost AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, c.probe, c.dur_ns, c.calls, c.bytes,
       c.faults_induced
FROM cost c
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, c.nr;

-- Stretches of neighbouring pages that look alike.
--   observed: whose region it is: an actor, or `message` for memory in transit
--   region: name of the region
--   first: first page of the stretch, index in the region
--   count: pages in the stretch
--   state: page state as in timeline; `anon?`: anonymous, but exclusive, cow and debt cannot be
--     told apart
--   frame: frame number of the first page, numbered per run (F1, F2, ...); page first + i has frame
--     + i; NULL: none or unknown
--   mapcount: how often each page is mapped; NULL: unknown
--   huge: 1: part of huge pages
--   inferred: 1: state or mapcount was concluded, not measured
--   nr: order of the region within the step, from 0
CREATE VIEW page_runs AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, g.observed, g.region, g.case_name,
       p.first, p.count, p.state, p.frame, p.mapcount, p.huge, p.inferred, g.nr
FROM page_run p
     JOIN region g USING (run, step, nr)
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, g.nr, p.first;

-- The chain of memory objects behind each region, from the top down.
--   observed: whose region it is: an actor, or `message` for memory in transit
--   region: name of the region
--   depth: 0 is the top
--   number: number of the object, per run (O1, O2, ...)
--   kind: `anonymous`, `memfd`, `file`, `shmem`, `internal`
--   refs: references
--   size: pages
--   resident: resident pages in the whole object
--   offset: page offset of the region's start in the object
--   needs_copy: the Mach entry's needs_copy flag; NULL elsewhere
--   inferred: names of values in this row that were concluded, not measured, separated by spaces;
--     NULL if none
--   nr: order of the region within the step, from 0
CREATE VIEW objects AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, g.observed, g.region, g.case_name,
       o.depth, o.number, o.kind, o.refs, o.size, o.resident, o.offset, g.needs_copy, o.inferred,
       g.nr
FROM object o
     JOIN region g USING (run, step, nr)
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, g.nr, o.depth;

-- Resident pages of each object of a chain, as far as they are seen through the region.
--   observed: whose region it is: an actor, or `message` for memory in transit
--   region: name of the region
--   depth: 0 is the top
--   number: number of the object, per run (O1, O2, ...)
--   first: first page of the stretch, index in the region
--   count: pages in the stretch
--   frame: frame number of the first page, numbered per run (F1, F2, ...); page first + i has frame
--     + i; NULL: none or unknown
--   nr: order of the region within the step, from 0
CREATE VIEW object_runs AS
SELECT r.run_id, s.step, s.phase, g.observed, g.region, g.case_name, o.depth, o.number, p.first,
       p.count, p.frame, g.nr
FROM object_run p
     JOIN object o USING (run, step, nr, depth)
     JOIN region g USING (run, step, nr)
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, g.nr, o.depth, p.first;

-- The inline part of each received message.
--   actor: who received
--   id: message id
--   size: bytes
--   text: inline text, or NULL
--   descriptors: how many
--   reply_sent: 1: a reply was sent; NULL: does not apply
CREATE VIEW messages AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, m.actor, m.id, m.size, m.text,
       m.descriptors, m.reply_sent
FROM message m
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step;

-- Descriptors as each step recorded them, by run key: `transfers` is made of it. The k-th sending
-- and the k-th receipt of one region and case belong together.
--   run: the run's key, for joins with tables
--   step: step that recorded it
--   nr: order within the step
--   sender: who sent
--   receiver: who receives
--   region: name of the region
--   case_name: case of the scenario, or NULL
--   descriptor: index in the message, from 0
--   kind: `port`, `ool`, `ool_ports`, `ool_volatile`
--   asked: copy option asked
--   received: copy option in the received descriptor
--   done: what really happened
--   deallocate: as this step saw it
--   size: bytes; rights for port kinds
--   why: the rule that decided
--   is_receipt: 1: recorded by the receiving step
--   k: the how-manieth of its kind
CREATE VIEW transfer_records AS
SELECT t.run, t.step, t.nr, t.sender, t.receiver, t.region, t.case_name, t.descriptor, t.kind,
       t.asked, t.received, t.done, t.deallocate, t.size, t.why,
       s.action IN ('ool_receive', 'receive') AS is_receipt,
       row_number() OVER (PARTITION BY r.run_id, t.sender, t.region, t.case_name, t.descriptor,
                                       s.action IN ('ool_receive', 'receive')
                          ORDER BY t.step, t.nr) AS k, r.run_id
FROM transfer t JOIN step s USING (run, step) JOIN run r USING (run);

-- One row per descriptor of a message: what was asked, what arrived, what was done. A sending whose
-- receipt was recorded is left out.
--   sender: who sent
--   receiver: who receives
--   region: name of the region
--   descriptor: index in the message, from 0
--   kind: `port`, `ool`, `ool_ports`, `ool_volatile`
--   asked: copy option asked: `virtual`, `physical`
--   received: copy option in the received descriptor; NULL in transit
--   done: what really happened: memory `shared`, `copied`, `moved`; a right `made`, `copied`,
--     `moved` (`right` where it arrives); `null`: nothing was sent
--   deallocate: 1: the sender gave its memory away; NULL: does not apply
--   size: bytes; rights for port kinds
--   why: the rule that decided
--   state: `received` or `in_transit`
--   received_deallocate: the flag in the received descriptor (Mach sets it for virtual ones); NULL
--     in transit
--   sent_step: step that sent it; NULL if that was not recorded
CREATE VIEW transfers AS
-- Of a sending and its receipt the receipt stays. Windows alone, each by run, so that a query for one
-- run reads that run only.
SELECT t.run_id, r.scenario, r.backend, t.step, s.phase, t.sender, t.receiver, t.region,
       t.case_name, t.descriptor, t.kind, t.asked, t.received, t.done,
       iif(t.records = 2, t.sent_deallocate, t.deallocate) AS deallocate, t.size, t.why,
       iif(t.is_receipt, 'received', 'in_transit') AS state,
       iif(t.is_receipt, t.deallocate, NULL) AS received_deallocate, t.sent_step
FROM (SELECT *, max(is_receipt) OVER pair AS arrived, count(*) OVER pair AS records,
             sum(step) FILTER (WHERE NOT is_receipt) OVER pair AS sent_step,
             sum(deallocate) FILTER (WHERE NOT is_receipt) OVER pair AS sent_deallocate
      FROM transfer_records
      WINDOW pair AS (PARTITION BY run_id, sender, region, case_name, descriptor, k)) t
     JOIN step s USING (run, step)
     JOIN run r USING (run)
WHERE t.is_receipt = t.arrived
ORDER BY r.started_at, t.run_id, t.step, t.nr;

-- Processes that a watch saw. A pid used again is another actor.
--   actor: `name[pid]`, as in the other views
--   pid: process number as seen from the watcher
--   start_ticks: when it began, in clock ticks after boot
--   parent: actor it was forked from, or NULL if that is not watched
--   name: of the process
--   command: its command line
--   first_step: first sample that saw it
--   last_step: last one; NULL: still there at the end
CREATE VIEW watch_processes AS
SELECT r.run_id, w.actor, w.pid, w.start_ticks, w.parent, w.name, w.command, w.first_step,
       w.last_step
FROM watch_process w JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, w.first_step, w.pid;

-- What happened between the samples of a watch.
--   step: the sample that noticed it
--   t_ns: when that sample began
--   actor: NULL: the system or the cgroup
--   kind: `came`, `gone`, `fork`, `exec`, `cgroup`, `thp`, `note`
--   value: fork: latency in ns; cgroup: the counter; else NULL
--   text: what happened, in words; came, exec: the command line that it had then
CREATE VIEW watch_events AS
SELECT r.run_id, w.step, s.t_ns, w.actor, w.kind, w.value, w.text
FROM watch_event w
     JOIN run r USING (run)
     LEFT JOIN step s USING (run, step)
ORDER BY r.started_at, r.run_id, w.step, w.nr;
