-- The open questions of the published experiments of which a run of the report tells something, and
-- a row per piece of evidence: the newest run per scenario, backend and kind of memory among the
-- runs of the report, or where there is none (here = 0) in the database.
-- A backend without purgeable memory (layer = 0) is a real Mach; the other one has the message layer.
-- agrees: whether it bears the verdict out; NULL: it cannot tell.
WITH picked AS MATERIALIZED (
    SELECT * FROM (
        SELECT *, row_number() OVER (PARTITION BY scenario, backend, memory
                                     ORDER BY here DESC, whole DESC, started_at DESC, run_id DESC) AS age
        FROM (SELECT run, run_id, scenario, backend, page_size, started_at, status = 'complete' AS whole,
                     run_id IN (SELECT value FROM json_each(:runs)) AS here,
                     json_extract(params, '$.memory') AS memory, label, purgeable AS layer
              FROM run JOIN published_backend USING (backend)
              WHERE scenario IN ('fork-write', 'ool-options', 'ool-two-large')
                 OR (scenario = 'ool-large' AND json_extract(params, '$.deallocate') IN (0, 'false')))
        WHERE (here OR whole) AND memory IS NOT 'malloc')
    WHERE age = 1),
-- What the published steps show of the regions they are about.
shown AS MATERIALIZED (
    SELECT p.*, s.step, s.published, g.observed, g.region, g.share_mode, g.ref_count, g.resident,
           g.mapped, g.debt, g.pages,
           CASE WHEN g.share_mode IS NULL THEN 'an unknown share mode'
                ELSE iif(instr(' ' || g.inferred || ' ', ' share_mode '), '~', '') || g.share_mode END
           AS mode,
           coalesce(iif(instr(' ' || g.inferred || ' ', ' ref_count '), '~', '') || g.ref_count,
                    'unknown') || iif(g.ref_count IS 1, ' reference', ' references') AS refs,
           coalesce(iif(instr(' ' || g.inferred || ' ', ' resident '), '~', '')
                    || CASE WHEN g.resident IS NOT NULL THEN printf('%,d', g.resident) END,
                    'unknown') || iif(g.resident IS 1, ' page', ' pages') || ' resident' AS held
    FROM picked p JOIN step s USING (run) JOIN region g USING (run, step)
    WHERE s.published IS NOT NULL AND g.case_name IS s.case_name),
-- The system's figure and the sum of RSS, as each kind of step left them.
total_of AS (
    SELECT p.run, t.system_kb, t.sum_rss_kb, t.system_tolerance_kb,
           iif(s.published IS NULL, s.phase, 'published') AS place,
           row_number() OVER (PARTITION BY p.run, s.phase, s.published ORDER BY s.step DESC) AS age
    FROM picked p JOIN step s USING (run) JOIN step_totals t USING (run, step)
    WHERE p.scenario IN ('ool-large', 'ool-two-large')),
left_kb AS (
    SELECT run, max(system_tolerance_kb) AS tolerance_kb,
           max(place = 'sender_wrote') AS rewrites,
           max(system_kb) FILTER (WHERE place = 'populated') AS start,
           max(system_kb) FILTER (WHERE place = 'in_transit') AS sent,
           max(system_kb) FILTER (WHERE place = 'sender_wrote') AS rewritten,
           max(system_kb) FILTER (WHERE place = 'received') AS received,
           max(system_kb) FILTER (WHERE place = 'receiver_wrote') AS wrote,
           max(system_kb) FILTER (WHERE place = 'published')
           - max(system_kb) FILTER (WHERE place = 'populated') AS grown,
           max(sum_rss_kb) FILTER (WHERE place = 'published')
           - max(sum_rss_kb) FILTER (WHERE place = 'populated') AS rss_grown
    FROM total_of WHERE age = 1 GROUP BY run),
-- What each kind of step added. + 0.0: no -0.0
large AS (
    SELECT run, tolerance_kb, rewrites, start AS start_kb, sent - start AS by_send, wrote - received AS by_receiver,
           round((sent - start) / 1024.0, 1) + 0.0 AS by_send_mib,
           round((rewritten - sent) / 1024.0, 1) + 0.0 AS by_sender_mib,
           round((wrote - received) / 1024.0, 1) + 0.0 AS by_receiver_mib,
           round(grown / 1024.0, 1) + 0.0 AS grown_mib, round(rss_grown / 1024.0, 1) + 0.0 AS rss_grown_mib
    FROM left_kb),
evidence (nr, run, told, agrees) AS (
    SELECT 1, run, mode || ', ' || refs || ', ' || held,
           share_mode = iif(memory = 'purgeable', 'SM_PRIVATE', 'SM_COW')
           AND ref_count = iif(memory = 'purgeable', 1, 2) AND resident = 1
    FROM shown WHERE published = 'VIRTUAL;PAGEx16;NO_FREE' AND observed = 'receiver'
UNION ALL
    SELECT 2, run,
           iif(NOT layer, 'a message has no copy option, so it was shared: ', '')
           || mode || ', ' || refs || ', ' || held
           || coalesce((SELECT ', of which the sender had touched ' || s.resident FROM shown s
                        WHERE s.run = r.run AND s.step = r.step AND s.observed = 'sender'), ''),
           CASE WHEN layer THEN share_mode = 'SM_COW' AND ref_count = 1 AND resident = 16 END
    FROM shown r WHERE published = 'PHYSICAL;PAGEx16;NO_FREE' AND observed = 'receiver'
UNION ALL
    SELECT 3, r.run,
           'of ' || round(r.pages * r.page_size / 1048576.0, 1) || ' MiB received '
           || r.held || ', ' || coalesce(CASE WHEN r.mapped >= 0 THEN printf('%,d', r.mapped) END, 'unknown')
           || ' mapped, RSS '
           || coalesce(round(f.rss_kb / 1024.0, 1) || ' MiB', 'unknown')
           || '; from before the send the system grew by '
           || coalesce(l.grown_mib || ' MiB', 'an unknown amount') || ', both RSS by '
           || coalesce(l.rss_grown_mib || ' MiB', 'an unknown amount')
           || CASE WHEN r.layer AND r.memory = 'purgeable' THEN
                  ' (the layer''s copy maps every page it makes, XNU''s maps none)'
              WHEN l.rewrites THEN
                  ' (the sender rewrote all, so what was sent is the receiver''s)'
              ELSE '' END,
           CASE WHEN r.layer AND r.memory = 'purgeable' THEN NULL
                WHEN r.pages * r.page_size >= 1048576 THEN
                    (f.rss_kb - b.rss_kb) * 2048 < r.resident * r.page_size END
    FROM shown r JOIN large l USING (run)
         LEFT JOIN process f ON f.run = r.run AND f.step = r.step AND f.actor = 'receiver'
         LEFT JOIN process b ON b.run = r.run AND b.actor = 'receiver' AND b.step = 1
    WHERE r.scenario = 'ool-large' AND r.observed = 'receiver'
UNION ALL
    SELECT 4, r.run,
           'two regions of ' || round(r.pages * r.page_size / 1048576.0, 1) || ' MiB: '
           || coalesce(round(l.start_kb / 1024.0, 1) || ' MiB', 'an unknown amount') || ' before the send'
           || coalesce(' (exact to ' || round(l.tolerance_kb / 1024.0, 1) || ' MiB)', '') || ', it added '
           || coalesce(l.by_send_mib, 'an unknown amount')
           || CASE WHEN l.rewrites THEN ', the sender''s second write '
                                        || coalesce(l.by_sender_mib, 'an unknown amount') ELSE '' END
           || ', the receiver''s write ' || coalesce(l.by_receiver_mib, 'an unknown amount')
           || '; what was only read ends as ' || r.mode,
           CASE WHEN r.pages * r.page_size < 2097152 THEN NULL
                WHEN r.memory = 'purgeable' THEN
                    l.by_send * 1024 > r.pages * r.page_size AND l.by_receiver * 2048 < r.pages * r.page_size
                    AND r.share_mode = 'SM_PRIVATE'
                ELSE l.by_send * 2048 < r.pages * r.page_size AND r.share_mode = 'SM_COW' END
    FROM shown r JOIN large l USING (run)
    WHERE r.scenario = 'ool-two-large' AND r.observed = 'receiver' AND r.region = 'two'
UNION ALL
    SELECT 5, r.run,
           r.mode || ', ' || r.refs || iif(r.debt > 0, ', ' || r.debt || ' in debt', '')
           || '; the write after it: ' || coalesce(f.minflt, 'unknown') || iif(f.minflt IS 1, ' fault, ', ' faults, ')
           || coalesce(w.copied, 'unknown') || ' copied, ' || coalesce(w.reused, 'unknown') || ' reused',
           r.share_mode = 'SM_COW' AND r.ref_count = 1 AND f.minflt > 0 AND (w.copied > 0) = (NOT r.layer)
    FROM shown r
         JOIN step s ON s.run = r.run AND s.published = 'parent-write'
         JOIN region w ON w.run = s.run AND w.step = s.step AND w.observed = 'parent'
         LEFT JOIN process f ON f.run = s.run AND f.step = s.step AND f.actor = 'parent'
    WHERE r.scenario = 'fork-write' AND r.published = 'settle' AND r.observed = 'parent'
UNION ALL
    SELECT 6, run,
           iif(fields, arrived || ' of ' || fields || ' arrived as asked, ' || (copied + moved)
               || ' of them done otherwise', 'a message has no such field; ' || (copied + moved) || ' of ' || n
               || ' transfers were done otherwise than asked') || ' (asked virtual, copied: ' || copied
           || '; asked physical, shared or moved: ' || moved || ')'
           || iif(n > known, ', of ' || (n - known) || ' what was done is unknown', ''),
           CASE WHEN fields THEN arrived = fields AND copied + moved > 0 END
    FROM (SELECT p.*, count(*) AS n, count(t.received) AS fields, count(t.done) AS known,
                 count(*) FILTER (WHERE t.received = t.asked) AS arrived,
                 count(*) FILTER (WHERE t.asked = 'virtual' AND t.done = 'copied') AS copied,
                 count(*) FILTER (WHERE t.asked = 'physical' AND t.done IN ('shared', 'moved')) AS moved
          FROM picked p JOIN step s USING (run) JOIN transfer t USING (run, step)
          WHERE p.scenario = 'ool-options' AND s.action = 'ool_receive' AND t.kind = 'ool'
          GROUP BY run))
SELECT nr, question, verdict, source, run_id, here, coalesce(told, 'unknown') AS told, agrees,
       label || coalesce(' (' || memory || ' memory)', '')
       || CASE WHEN NOT layer THEN ', measured' WHEN memory IS NULL THEN ', by itself'
               WHEN memory = 'purgeable' THEN ', by construction' ELSE ', by the layer' END AS place,
       row_number() OVER of_one = 1 AS first, lead(nr) OVER of_one IS NULL AS last
FROM evidence JOIN picked USING (run) JOIN published_questions USING (nr)
WHERE nr IN (SELECT nr FROM evidence JOIN picked USING (run) WHERE here)
WINDOW of_one AS (PARTITION BY nr ORDER BY backend, memory)
ORDER BY nr, backend, memory;
