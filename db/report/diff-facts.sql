-- What runs of one combination (:runs, a JSON array) say that the scenario decides, and that
-- another run of it must say again: states and counts of the observed regions to the page, what
-- their objects are, which frames actors have in common, what became of messages, what was
-- expected. Not here: what depends on where the kernel and the loader put things (addresses,
-- neighbours in one mapping), on the program's own memory (RSS, faults) and on the system.
--   nr: tells things of one name in a step apart
--   rank: what a difference is told by first: what a write or a transfer did, 0
--   low, high: smallest and largest of the runs, which differ where the runs do; NULL: unknown
WITH wanted AS MATERIALIZED (
    SELECT run FROM run WHERE run_id IN (SELECT value FROM json_each(:runs))),
observed (run, step, nr, subject, region_nr) AS (
    SELECT run, step, row_number() OVER (PARTITION BY run, step, name ORDER BY nr), name, nr
    FROM (SELECT run, step, nr,
                 observed || '.' || region || coalesce('#' || case_name, '') AS name
          FROM wanted JOIN region g USING (run)
          -- Which pages a snapshot's writer writes until the copy is read hangs on time.
          WHERE NOT EXISTS (SELECT 1 FROM step s WHERE s.run = g.run AND s.step <= g.step
                            AND s.action = 'snapshot'))),
-- Neighbouring pages of one state, whatever their frames; of one of the runs.
stretch (run, step, subject, nr, state, first, count) AS (
    SELECT run, step, subject, nr, max(state), min(first), sum(count)
    FROM (SELECT *, sum(begins) OVER (PARTITION BY run, step, subject, nr ORDER BY first) AS part
          FROM (SELECT p.run, p.step, o.subject, o.nr, state, first, count,
                       state IS NOT lag(state) OVER w OR first <> lag(first + count) OVER w AS begins
                FROM observed o
                     JOIN region g ON g.run = o.run AND g.step = o.step AND g.nr = o.region_nr
                     JOIN page_run p ON p.run = o.run AND p.step = o.step AND p.nr = o.region_nr
                WHERE NOT runs_cut AND o.run = (SELECT min(run) FROM wanted)
                WINDOW w AS (PARTITION BY o.run, o.step, o.region_nr ORDER BY first)))
    GROUP BY run, step, subject, nr, part),
fact (run, step, subject, nr, quantity, value) AS MATERIALIZED (
    SELECT s.run, s.step, coalesce(s.actor, '-'), 1, j.key, j.atom
    FROM wanted JOIN step s USING (run),
         json_each(json_object(
             'phase', phase, 'action', action, 'object_only_kb', object_only_kb,
             'in_transit_kb', in_transit_kb, 'superseded_kb', superseded_kb)) j
    UNION ALL
    SELECT g.run, g.step, o.subject, o.nr, j.key, j.atom
    FROM observed o
         JOIN region g ON g.run = o.run AND g.step = o.step AND g.nr = o.region_nr,
         json_each(json_object(
             'share_mode', share_mode, 'ref_count', ref_count, 'pages', pages,
             'resident', resident, 'mapped', mapped, 'none', none, 'zero', zero,
             'exclusive', exclusive, 'cow', cow, 'debt', debt, 'object', object,
             'shared', shared, 'swapped', swapped, 'huge', huge, 'at_risk', at_risk,
             'outside', outside, 'write_outcome', write_outcome, 'first_touch', first_touch,
             'copied', copied, 'reused', reused, 'no_fault', no_fault, 'swapped_in', swapped_in,
             'protection', protection, 'inheritance', inheritance,
             'needs_copy', needs_copy)) j
    UNION ALL
    SELECT run, step, subject, nr, 'which pages',
           CASE sum(state = 'anon?')
           WHEN 0 THEN group_concat(state || ' ' || first || '+' || count, ', ') END
    FROM stretch GROUP BY run, step, subject, nr
    UNION ALL
    SELECT b.run, b.step, o.subject, o.nr, 'object[' || b.depth || '].' || j.key, j.atom
    FROM observed o JOIN object b ON b.run = o.run AND b.step = o.step AND b.nr = o.region_nr,
         json_each(json_object('kind', kind, 'refs', refs, 'size', size, 'resident', resident)) j
    UNION ALL
    SELECT run, step, actor_a || '&' || actor_b, 1, 'region_frames', region_frames
    FROM wanted JOIN shared_frames USING (run)
    UNION ALL
    SELECT t.run, t.step, 'transfer[' || t.descriptor || ']', 1, j.key, j.atom
    FROM wanted JOIN transfer t USING (run),
         json_each(json_object('kind', kind, 'asked', asked, 'received', received, 'done', done,
                               'deallocate', deallocate, 'size', size)) j
    UNION ALL
    SELECT m.run, m.step, m.actor, 1, 'message ' || j.key, j.atom
    FROM wanted JOIN message m USING (run),
         json_each(json_object('id', m.id, 'size', size, 'text', text, 'descriptors', descriptors,
                               'reply_sent', reply_sent)) j
    UNION ALL
    SELECT run, step, observed, 1, 'expected ' || key, nullif(result, 'not checked')
    FROM wanted JOIN expectation USING (run)),
gap (run, step, subject, nr, quantity) AS (
    SELECT run, step,
           coalesce(observed || coalesce('.' || region, '') || coalesce('#' || case_name, ''),
                    (SELECT coalesce(s.actor, '-') FROM step s
                     WHERE s.run = u.run AND s.step = u.step)),
           1, quantity
    FROM wanted JOIN unknown u USING (run)
    UNION ALL
    SELECT run, step, subject, nr, quantity FROM fact
    WHERE value IS NULL AND (quantity = 'which pages' OR quantity LIKE 'expected %'
                             OR quantity LIKE 'object[%'))
SELECT step, (SELECT max(phase) FROM wanted JOIN step s USING (run) WHERE s.step = f.step) AS phase,
       subject, nr, quantity,
       CASE WHEN quantity = 'which pages' THEN 2
            ELSE quantity NOT IN ('copied', 'reused', 'no_fault', 'first_touch', 'swapped_in',
                                  'share_mode', 'done') END AS rank,
       low, high
FROM (SELECT step, subject, nr, quantity, min(value) AS low, max(value) AS high
      FROM fact WHERE value IS NOT NULL GROUP BY step, subject, nr, quantity
      UNION ALL
      SELECT step, subject, nr, quantity, NULL, NULL
      FROM gap g
      WHERE NOT EXISTS (SELECT 1 FROM fact v WHERE v.step = g.step AND v.subject = g.subject
                        AND v.quantity = g.quantity AND v.value IS NOT NULL)
        AND EXISTS (SELECT 1 FROM fact v WHERE v.run = g.run AND v.step = g.step
                    AND v.subject = g.subject AND v.quantity = g.quantity)
      GROUP BY step, subject, nr, quantity) f
ORDER BY step, subject, nr, rank, quantity
