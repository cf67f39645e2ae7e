-- Whose writes had an outcome (copied, reused, ...), in pages: a line per run, most first. ~ marks
-- what was concluded.
WITH wrote AS (
    SELECT r.run_id, r.scenario, r.backend, s.step, s.actor,
           CASE :outcome WHEN 'copied' THEN g.copied WHEN 'reused' THEN g.reused
                         WHEN 'no_fault' THEN g.no_fault
                         WHEN 'swapped_in' THEN g.swapped_in ELSE g.first_touch END AS pages,
           instr(' ' || g.inferred || ' ', ' ' || :outcome || ' ') > 0 AS inferred
    FROM run AS r JOIN step AS s USING (run) JOIN region AS g USING (run, step)
    WHERE r.run_id IN (SELECT value FROM json_each(:runs)) AND s.actor = g.observed
),
writer AS (
    SELECT run_id, scenario, backend, actor, sum(pages) AS pages, min(step) AS first,
           actor || iif(max(inferred), ' ~', ' ') || printf('%,d', sum(pages))
           || CASE count(*) WHEN 1 THEN ' (step ' || min(step) || ')'
              ELSE ' (in ' || count(*) || ' steps)' END AS who
    FROM wrote WHERE pages > 0 GROUP BY run_id, actor
    ORDER BY run_id, first, actor
)
SELECT scenario, backend, sum(pages) AS pages, count(*) AS writers, group_concat(who, ', ') AS who
FROM writer
GROUP BY run_id
ORDER BY sum(pages) DESC, scenario, backend, run_id;
