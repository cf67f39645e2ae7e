-- Known causes of what a watch saw, a row for each whose evidence is there: who, how much (kb) of what
-- (of_kb), how many, since or for how long (s). What is less than 1 MiB is no cause.
WITH r AS MATERIALIZED (
    SELECT run, run_id, page_size / 1024 AS page_kb, (SELECT max(step) FROM step s WHERE s.run = run.run) AS steps
    FROM run WHERE run_id = :run_id
),
p AS MATERIALIZED (
    SELECT c.*, w.name, w.name || '[' || w.pid || ']' AS who, ifnull(c.last_step, r.steps) AS to_step
    FROM r JOIN watch_costs c ON c.run_id = :run_id JOIN watch_process w ON w.run = r.run AND w.actor = c.actor
),
s AS MATERIALIZED (
    SELECT step, t_s, processes, distinct_kb, copied_kb, thp, anon_huge_kb AS huge_kb, sum_rss_kb AS rss_kb,
           lag(anon_huge_kb) OVER w AS huge_before_kb, lag(sum_rss_kb) OVER w AS rss_before_kb,
           EXISTS (SELECT 1 FROM r JOIN watch_event e USING (run)
                   WHERE e.step = watch_samples.step AND e.kind IN ('came', 'gone', 'exec')) AS changed
    FROM watch_samples WHERE run_id = :run_id WINDOW w AS (ORDER BY step)
),
-- Copies of whole huge pages: a mapping's count is a multiple of theirs, and it has them and no fewer
-- than before; or it has so many more, in no more memory (a sample between the copies of one page makes the
-- count uneven). Most of what the process copied came so.
whole AS (
    SELECT p.who, min(p.copied_kb, sum((w.copied * r.page_kb + 1024) / 2048 * 2048)) AS kb,
           p.copied_kb AS of_kb, max(s.thp) AS thp, iif(p.copied_why IS NULL, '', 'at least ') AS at_least
    FROM r JOIN (SELECT g.step, g.observed, w.copied, g.huge, g.huge - lag(g.huge) OVER m AS more,
                        g.mapped - lag(g.mapped) OVER m AS grown
                 FROM r JOIN watch_region w USING (run) JOIN region g USING (run, step, nr)
                 WHERE (SELECT max(huge_kb) FROM s) >= 2048
                 WINDOW m AS (PARTITION BY g.observed, g.range_start ORDER BY g.step)) w
         JOIN s USING (step)
         JOIN p ON p.actor = w.observed
    WHERE w.copied > 0 AND w.huge * r.page_kb >= 2048 AND w.more >= 0
      AND (w.copied * r.page_kb % 2048 = 0 OR w.more > w.grown + w.copied / 2)
    GROUP BY p.actor HAVING kb * 2 > of_kb AND kb >= 1024 ORDER BY kb DESC, p.actor
),
-- Huge pages that were split: fewer of them in as much memory of the same processes, while some was copied.
split AS (
    SELECT sum(huge_before_kb - huge_kb) AS kb, sum(copied_kb) AS of_kb, max(thp) AS thp
    FROM s
    WHERE NOT changed AND copied_kb > 0 AND huge_before_kb - huge_kb >= 2048
      AND rss_before_kb - rss_kb < (huge_before_kb - huge_kb) / 2
),
-- Children that lost what they shared by writes of their own, most of it in heap and malloc arenas; or, of
-- Python, spread over mappings as its allocator has them, not one that holds half of it.
allocator AS (
    SELECT p.actor, p.name, p.lost_kb AS of_kb, p.lost_why,
           sum(l.kb) FILTER (WHERE l.kind IN ('heap', 'malloc arena')) AS kb,
           sum(l.kb) FILTER (WHERE l.kind = 'malloc arena') AS arena_kb,
           sum(l.kb) FILTER (WHERE l.kind IN ('heap', 'malloc arena', 'anonymous')) AS objects_kb,
           count(*) AS mappings, max(l.kb) AS largest_kb
    FROM p JOIN (SELECT g.observed AS actor, w.kind, sum(w.lost) * r.page_kb AS kb
                 FROM r JOIN watch_region w USING (run) JOIN region g USING (run, step, nr)
                 WHERE w.lost > 0 GROUP BY g.observed, g.range_start, w.kind) l USING (actor)
    WHERE p.lost_kb >= 1024 AND p.copied_kb * 2 >= p.lost_kb
    GROUP BY p.actor
),
-- A process that copies while children that end are there, and hardly otherwise, seen after the last too.
child AS MATERIALIZED (
    SELECT parent, first_step, to_step, max_parent_kb, max(last_step) OVER (PARTITION BY parent) AS over,
           count(last_step) OVER (PARTITION BY parent) = count(*) OVER (PARTITION BY parent) AS ended
    FROM p
    WHERE parent NOT NULL AND own_program IS NOT 1 AND first_step > 1 AND to_step - first_step >= 2
),
save AS (
    SELECT p.who, sum(f.copied_kb) FILTER (WHERE f.alive) AS kb,
           ifnull(sum(f.copied_kb) FILTER (WHERE f.alive IS NOT 1), 0) AS of_kb, c.n, c.most_kb
    FROM p JOIN (SELECT parent, count(*) AS n, max(max_parent_kb) AS most_kb, max(over) AS over
                 FROM child WHERE ended GROUP BY parent) c ON c.parent = p.actor
         JOIN (SELECT actor, copied_kb, step <= max(to_step) OVER w + 1 AS alive
               FROM (SELECT x.actor, x.step, x.copied_kb, NULL AS to_step FROM r JOIN process x USING (run)
                     WHERE x.copied_kb > 0 AND x.actor IN (SELECT parent FROM child WHERE ended)
                     UNION ALL SELECT parent, first_step, NULL, to_step FROM child)
               WINDOW w AS (PARTITION BY actor ORDER BY step, to_step IS NULL ROWS UNBOUNDED PRECEDING)) f
           ON f.actor = p.actor
    WHERE p.to_step > c.over + 1 AND p.copied_why IS NULL
      AND p.copied_kb > 4 * (SELECT ifnull(sum(k.copied_kb), 0) FROM p k WHERE k.parent = p.actor)
    GROUP BY p.actor HAVING kb >= 1024 AND kb > 10 * of_kb ORDER BY kb DESC, p.actor
),
-- Shared memory that grew by most of what the frames did, while next to nothing was copied; kb is of the
-- process that maps most of it, n how many map it.
shared AS (
    SELECT g.region, g.range_start, count(DISTINCT g.observed) AS n, max(g.range_end - g.range_start) / 1024 AS most_kb,
           max(g.mapped) * r.page_kb AS kb,
           max(g.mapped) FILTER (WHERE g.step = g.first) * r.page_kb AS first_kb
    FROM r JOIN (SELECT g.*, min(g.step) OVER (PARTITION BY g.run, g.region, g.range_start) AS first
                 FROM r JOIN watch_region w USING (run) JOIN region g USING (run, step, nr)
                 WHERE w.kind = 'shared memory' AND NOT w.gone) g USING (run)
    GROUP BY g.region, g.range_start HAVING n > 1
),
late AS (
    SELECT count(*) AS n, sum(lost_before_kb) AS kb, sum(lost_before_kb + max_parent_kb) AS of_kb
    FROM p WHERE first_step = 1 AND parent NOT NULL AND own_program IS NOT 1 AND lost_before_kb >= 1024
)
SELECT * FROM (SELECT 'whole' AS cause, who, kb, of_kb, NULL AS n, NULL AS most_kb, thp, at_least FROM whole LIMIT 1)
UNION ALL
SELECT 'split', NULL, kb, of_kb, NULL, NULL, thp, '' FROM split WHERE kb > 0
UNION ALL
SELECT iif(python, 'python', iif(arena_kb * 2 > kb, 'arenas', 'heap')), NULL, kb, of_kb, n, NULL, NULL, at_least
FROM (SELECT iif(count(lost_why), 'at least ', '') AS at_least, sum(iif(python, objects_kb, kb)) AS kb, sum(of_kb) AS of_kb, count(*) AS n,
             sum(arena_kb) AS arena_kb, min(python) AS python
      FROM (SELECT *, name LIKE 'python%' AND objects_kb * 2 > of_kb AND mappings >= 4
                      AND largest_kb * 2 < of_kb AS python FROM allocator)
      WHERE python OR kb * 2 > of_kb)
WHERE n > 0
UNION ALL
SELECT * FROM (SELECT 'save', who, kb, of_kb, n, most_kb, NULL, '' FROM save LIMIT 1)
UNION ALL
SELECT * FROM (SELECT 'shared', region, first_kb, kb, n, most_kb, NULL, '' FROM shared
               WHERE kb - first_kb >= 1024
                 AND (kb - first_kb) * 2 > (SELECT max(distinct_kb) FROM s)
                                           - (SELECT distinct_kb FROM s WHERE distinct_kb NOT NULL
                                              ORDER BY step LIMIT 1)
                 AND (SELECT sum(copied_kb) FROM s) * 10 < kb - first_kb
               ORDER BY kb - first_kb DESC, region, range_start LIMIT 1)
UNION ALL
SELECT 'late', NULL, kb, of_kb, n, NULL, NULL, '' FROM late WHERE n > 0;
