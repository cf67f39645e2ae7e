-- The twelve mappings that lost most of what they had in common with the parent.
SELECT actor, part, region, printf('%x-%x', range_start, range_end) AS range, most_kb, last_kb,
       lost_kb, share_mode, iif(lost_why IS NULL, '', 'lost_kb') AS at_least_keys
FROM watch_lost
WHERE run_id = :run_id AND lost_kb > 0
ORDER BY lost_kb DESC, actor, range_start
LIMIT 12;
