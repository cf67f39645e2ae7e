-- Where the sum of RSS exceeds what the processes occupy by the largest factor: distinct frames, or
-- where these are unknown the sum of PSS.
SELECT scenario, backend, step, actors, sum_rss_kb, distinct_kb, sum_pss_kb, system_kb
FROM footprint_vs_system
WHERE run_id IN (SELECT value FROM json_each(:runs)) AND sum_rss_kb > 0
  AND coalesce(distinct_kb, sum_pss_kb) > 0
ORDER BY distinct_kb IS NULL, 1.0 * sum_rss_kb / coalesce(distinct_kb, sum_pss_kb) DESC, scenario,
         backend, run_id, step
LIMIT 1;
