-- The mappings that lost most, with what is left of them by address.
SELECT l.actor, l.part, l.region, l.lost_kb, l.bins,
       printf('from %x', l.range_start) AS range,
       min(12, count(*) OVER ()) AS total
FROM watch_lost l
WHERE l.run_id = :run_id AND l.bins IS NOT NULL AND l.lost_kb > 0
ORDER BY l.lost_kb DESC, l.actor, l.range_start
LIMIT 12;
