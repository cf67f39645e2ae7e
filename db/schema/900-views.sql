-- The views that users, queries and reports rely on; db/README.md describes every column.
-- Words are text, *_kb are KiB, *_bytes bytes, page counts bare, *_ns nanoseconds of
-- CLOCK_MONOTONIC. Views are made anew when this text changes: no migration is needed.

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
       machine, capabilities, source
FROM run r
ORDER BY started_at, run_id;

-- The latest complete run of each scenario on each backend: what a report shows when asked for
-- nothing in particular.
CREATE VIEW latest_runs AS
SELECT run_id, scenario, backend, params, started_at
FROM (SELECT *, row_number() OVER (PARTITION BY scenario, backend
                                   ORDER BY started_at DESC, run_id DESC) AS age
      FROM run WHERE status = 'complete')
WHERE age = 1
ORDER BY scenario, backend;

CREATE VIEW steps AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, s.actor, s.action, s.case_name, s.region,
       s.published, s.start_ns, s.dur_ns, s.t_ns
FROM step s JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step;

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

CREATE VIEW copies AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, g.observed AS writer, g.region, g.case_name,
       g.write_outcome, g.first_touch, g.copied, g.reused, g.no_fault,
       g.copied * r.page_size / 1024 AS copied_kb, g.swapped_in, g.inferred
FROM region g
     JOIN step s USING (run, step)
     JOIN run r USING (run)
WHERE g.observed = s.actor AND s.action = 'write'
ORDER BY r.started_at, r.run_id, s.step, g.nr;

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

CREATE VIEW footprint AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, p.actor, p.acting, p.rss_kb, p.pss_kb,
       p.uss_kb, p.peak_kb, p.pagetable_kb, p.virtual_kb, p.swap_kb, p.minflt, p.majflt, p.dur_ns,
       p.cow_faults, p.minflt_total, p.majflt_total, p.pid, p.inferred, p.exclusive_kb,
       p.shared_parent_kb, p.debt_kb, p.at_risk_kb, p.copied_kb, s.t_ns
FROM process p
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, p.nr;

-- By run key, for the two views below that need it. A sum over actors is NULL as soon as one
-- actor's figure is. A watch stores rows of changed processes only, and the sums with the sample.
-- Each sum is a subquery of its own, not one grouping of all rows: a query for one run then reads
-- that run only.
CREATE VIEW step_totals AS
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

-- Of the parts beside the distinct frames one that does not apply (NULL without a row in unknown)
-- adds nothing; one that is unknown leaves the residual unknown.
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

CREATE VIEW sharing AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, h.actor_a, h.actor_b, h.region_frames,
       h.frames, h.region_frames * r.page_size / 1024 AS region_kb,
       h.frames * r.page_size / 1024 AS shared_kb, h.inferred
FROM shared_frames h
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, h.nr;

CREATE VIEW expectations AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, x.observed, x.key, x.expected, x.measured,
       x.result, x.reason, x.line
FROM expectation x
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, x.nr;

CREATE VIEW unknowns AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, u.observed, u.region, u.case_name,
       u.quantity, w.reason, w.unlocks
FROM unknown u
     JOIN step s USING (run, step)
     JOIN run r USING (run)
     JOIN reason w ON w.code = u.why
ORDER BY r.started_at, r.run_id, s.step, u.nr;

CREATE VIEW unknown_reasons AS
SELECT r.run_id, r.scenario, r.backend, w.reason, w.unlocks, count(*) AS n,
       (SELECT group_concat(quantity, ', ')
        FROM (SELECT DISTINCT d.quantity FROM unknown d
              WHERE d.run = u.run AND d.why = u.why ORDER BY d.quantity)) AS quantities
FROM unknown u
     JOIN run r USING (run)
     JOIN reason w ON w.code = u.why
GROUP BY r.run_id, u.why;

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

CREATE VIEW stray_bytes AS
SELECT run_id, scenario, backend, step, phase, observed AS actor, region, case_name,
       left_value AS stray, CASE verdict WHEN 'held' THEN 'zero' WHEN 'differs' THEN 'the sender''s'
                            ELSE verdict END AS seen, detail
FROM checks WHERE name = 'stray_bytes';

-- What the writes did with the pages, against what their states had promised: the check `prediction`,
-- whose rows without a left value count the pages of which nothing was promised; the detail's first
-- word says why (probes/observation.c).
CREATE VIEW predictions AS
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

CREATE VIEW probe_cost AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, c.probe, c.dur_ns, c.calls, c.bytes,
       c.faults_induced
FROM cost c
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, c.nr;

CREATE VIEW page_runs AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, g.observed, g.region, g.case_name,
       p.first, p.count, p.state, p.frame, p.mapcount, p.huge, p.inferred, g.nr
FROM page_run p
     JOIN region g USING (run, step, nr)
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, g.nr, p.first;

CREATE VIEW objects AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, g.observed, g.region, g.case_name,
       o.depth, o.number, o.kind, o.refs, o.size, o.resident, o.offset, g.needs_copy, o.inferred,
       g.nr
FROM object o
     JOIN region g USING (run, step, nr)
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, g.nr, o.depth;

CREATE VIEW object_runs AS
SELECT r.run_id, s.step, s.phase, g.observed, g.region, g.case_name, o.depth, o.number, p.first,
       p.count, p.frame, g.nr
FROM object_run p
     JOIN object o USING (run, step, nr, depth)
     JOIN region g USING (run, step, nr)
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step, g.nr, o.depth, p.first;

CREATE VIEW messages AS
SELECT r.run_id, r.scenario, r.backend, s.step, s.phase, m.actor, m.id, m.size, m.text,
       m.descriptors, m.reply_sent
FROM message m
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, s.step;

-- Descriptors as each step recorded them: the k-th sending and the k-th receipt of one region and
-- case belong together.
CREATE VIEW transfer_records AS
SELECT t.run, t.step, t.nr, t.sender, t.receiver, t.region, t.case_name, t.descriptor, t.kind,
       t.asked, t.received, t.done, t.deallocate, t.size, t.why,
       s.action IN ('ool_receive', 'receive') AS is_receipt,
       row_number() OVER (PARTITION BY r.run_id, t.sender, t.region, t.case_name, t.descriptor,
                                       s.action IN ('ool_receive', 'receive')
                          ORDER BY t.step, t.nr) AS k, r.run_id
FROM transfer t JOIN step s USING (run, step) JOIN run r USING (run);

-- One row per descriptor: its receipt, or its sending while it is in transit.
CREATE VIEW transfers AS
-- A group is a sending, a receipt, or both: beside the one max() all columns are of the row that has
-- it, the receipt's.
SELECT t.run_id, r.scenario, r.backend, t.step, s.phase, t.sender, t.receiver, t.region,
       t.case_name, t.descriptor, t.kind, t.asked, t.received, t.done,
       iif(t.records = 2, t.sent_deallocate, t.deallocate) AS deallocate, t.size, t.why,
       iif(t.is_receipt, 'received', 'in_transit') AS state,
       iif(t.is_receipt, t.deallocate, NULL) AS received_deallocate, t.sent_step
FROM (SELECT *, max(is_receipt), count(*) AS records, sum(step) FILTER (WHERE NOT is_receipt) AS sent_step,
             sum(deallocate) FILTER (WHERE NOT is_receipt) AS sent_deallocate
      FROM transfer_records
      GROUP BY run_id, sender, region, case_name, descriptor, k) t
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, t.run_id, t.step, t.nr;

-- Processes that a watch saw, and what happened between its samples.
CREATE VIEW watch_processes AS
SELECT r.run_id, w.actor, w.pid, w.start_ticks, w.parent, w.name, w.command, w.first_step,
       w.last_step
FROM watch_process w JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, w.first_step, w.pid;

CREATE VIEW watch_events AS
SELECT r.run_id, w.step, s.t_ns, w.actor, w.kind, w.value, w.text
FROM watch_event w
     JOIN run r USING (run)
     LEFT JOIN step s USING (run, step)
ORDER BY r.started_at, r.run_id, w.step, w.nr;
