-- The step of a run in which the sum of RSS exceeds the distinct frames most.
SELECT *
FROM footprint_vs_system
WHERE run_id = :run_id AND sum_rss_kb IS NOT NULL AND distinct_kb IS NOT NULL
ORDER BY sum_rss_kb - distinct_kb DESC, step
LIMIT 1;
