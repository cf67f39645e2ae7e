-- The step of a run in which the sum of RSS and the system's figure are furthest apart; where that
-- figure is unknown, the sum of RSS and the distinct frames.
SELECT *
FROM footprint_vs_system
WHERE run_id = :run_id AND sum_rss_kb IS NOT NULL AND distinct_kb IS NOT NULL
ORDER BY abs(sum_rss_kb - coalesce(system_kb, distinct_kb)) DESC, step
LIMIT 1;
