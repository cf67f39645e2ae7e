-- Processes that lost memory in common with their parent: how much, and most of it where.
WITH part AS (
    SELECT l.actor, l.part, sum(l.lost_kb) AS lost_kb FROM watch_lost l
    WHERE l.run_id = :run_id GROUP BY l.actor, l.part
), most AS (
    SELECT actor, part, lost_kb,
           sum(CASE WHEN lost_kb > 0 THEN lost_kb END) OVER (PARTITION BY actor) AS all_kb,
           row_number() OVER (PARTITION BY actor ORDER BY lost_kb DESC, part) AS rank
    FROM part
)
SELECT c.actor, c.lost_kb, c.max_parent_kb, m.part,
       CASE WHEN m.all_kb > 0 THEN 100.0 * m.lost_kb / m.all_kb END AS percent
FROM watch_costs c LEFT JOIN most m ON m.actor = c.actor AND m.rank = 1 AND m.lost_kb > 0
WHERE c.run_id = :run_id AND c.parent IS NOT NULL AND c.max_parent_kb > 0
ORDER BY c.lost_kb DESC, c.actor;
