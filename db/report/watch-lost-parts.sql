-- What each process lost of the memory it had in common with its parent, by what it was for: the
-- process that lost most first. The sum is the process's own; changes too small for a row of their
-- mapping are what is left of it. A mapping that was split or moved is in common once: most is the
-- most that the part's mappings had at one time, and no more than the process had.
WITH moved AS (
    SELECT g.observed AS actor, g.step, last_value(w.part) OVER m AS part,
           (iif(w.gone, 0, ifnull(w.parent_pages, 0))
            - lag(iif(w.gone, 0, ifnull(w.parent_pages, 0)), 1, 0) OVER m) * r.page_size / 1024 AS kb
    FROM run r JOIN watch_region w USING (run) JOIN region g USING (run, step, nr)
    WHERE r.run_id = :run_id
    WINDOW m AS (PARTITION BY g.observed, g.range_start ORDER BY g.step
                 ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
),
at AS (
    SELECT actor, part, sum(kb) OVER (PARTITION BY actor, part ORDER BY step) AS kb FROM moved
),
most AS (
    SELECT a.actor, a.part, min(max(a.kb), ifnull(p.kb, max(a.kb))) AS kb
    FROM at a
         LEFT JOIN (SELECT p.actor, max(p.shared_parent_kb) AS kb FROM run r JOIN process p USING (run)
                    WHERE r.run_id = :run_id GROUP BY p.actor) p USING (actor)
    GROUP BY a.actor, a.part
),
sums AS MATERIALIZED (
    SELECT l.actor, l.part, m.kb AS most_kb, sum(l.last_kb) AS last_kb, sum(l.lost_kb) AS lost_kb,
           max(l.lost_why) AS lost_why
    FROM watch_lost l LEFT JOIN most m USING (actor, part)
    WHERE l.run_id = :run_id
    GROUP BY l.actor, l.part
),
rest AS (
    SELECT k.actor, 'small changes' AS part, NULL AS most_kb, NULL AS last_kb,
           k.lost_kb - ifnull((SELECT sum(s.lost_kb) FROM sums s WHERE s.actor = k.actor), 0) AS lost_kb,
           k.lost_why
    FROM run r JOIN watch_kin k USING (run) WHERE r.run_id = :run_id AND k.counted
)
SELECT actor, part, most_kb, last_kb, lost_kb,
       sum(lost_kb) OVER (PARTITION BY actor) AS actor_lost_kb,
       iif(lost_why IS NULL, '', 'lost_kb') AS at_least_keys
FROM (SELECT * FROM sums UNION ALL SELECT * FROM rest)
WHERE lost_kb > 0
ORDER BY actor_lost_kb DESC, actor, lost_kb DESC, part;
