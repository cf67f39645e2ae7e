-- The step of a run in which the sum of RSS and the system's figure are furthest apart; where that
-- figure is unknown, the sum of RSS and the distinct frames.
SELECT *,
       (SELECT group_concat(quantity, ',') FROM unknowns AS u
        WHERE u.run_id = f.run_id AND u.step = f.step AND u.region IS NULL) AS unknown_keys
FROM footprint_vs_system AS f
WHERE run_id = :run_id AND sum_rss_kb IS NOT NULL AND distinct_kb IS NOT NULL
ORDER BY abs(sum_rss_kb - coalesce(system_kb, distinct_kb)) DESC, step
LIMIT 1;
