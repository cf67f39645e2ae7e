-- Where the sum of RSS exceeds the distinct frames by the largest factor.
SELECT scenario, backend, step, actors, sum_rss_kb, distinct_kb, system_kb
FROM footprint_vs_system
WHERE run_id IN (SELECT value FROM json_each(:runs)) AND sum_rss_kb > 0 AND distinct_kb > 0
ORDER BY 1.0 * sum_rss_kb / distinct_kb DESC, scenario, backend, run_id, step
LIMIT 1;
