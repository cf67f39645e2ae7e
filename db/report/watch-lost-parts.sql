-- What each process lost of the memory it had in common with its parent, by what it was for: the
-- process that lost most first.
WITH sums AS (
    SELECT l.actor, l.part, sum(l.most_kb) AS most_kb, sum(l.last_kb) AS last_kb,
           sum(l.lost_kb) AS lost_kb
    FROM watch_lost l WHERE l.run_id = :run_id
    GROUP BY l.actor, l.part
)
SELECT actor, part, most_kb, last_kb, lost_kb,
       sum(lost_kb) OVER (PARTITION BY actor) AS actor_lost_kb
FROM sums
WHERE lost_kb > 0
ORDER BY actor_lost_kb DESC, actor, lost_kb DESC, part;
