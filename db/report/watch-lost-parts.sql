-- What each process lost of the memory it had in common with its parent, by what it was for: the
-- process that lost most first. The sum is the process's own; changes too small for a row of their
-- mapping are what is left of it.
WITH sums AS (
    SELECT l.actor, l.part, sum(l.most_kb) AS most_kb, sum(l.last_kb) AS last_kb,
           sum(l.lost_kb) AS lost_kb
    FROM watch_lost l WHERE l.run_id = :run_id
    GROUP BY l.actor, l.part
),
rest AS (
    SELECT k.actor, 'small changes' AS part, NULL AS most_kb, NULL AS last_kb,
           k.lost_kb - ifnull((SELECT sum(s.lost_kb) FROM sums s WHERE s.actor = k.actor), 0) AS lost_kb
    FROM run r JOIN watch_kin k USING (run) WHERE r.run_id = :run_id
)
SELECT actor, part, most_kb, last_kb, lost_kb,
       sum(lost_kb) OVER (PARTITION BY actor) AS actor_lost_kb
FROM (SELECT * FROM sums UNION ALL SELECT * FROM rest)
WHERE lost_kb > 0
ORDER BY actor_lost_kb DESC, actor, lost_kb DESC, part;
