-- The step of a run in which the sum of RSS exceeds the distinct frames most.
SELECT *,
       (SELECT group_concat(quantity, ',') FROM unknowns AS u
        WHERE u.run_id = f.run_id AND u.step = f.step AND u.region IS NULL) AS unknown_keys
FROM footprint_vs_system AS f
WHERE run_id = :run_id AND sum_rss_kb IS NOT NULL AND distinct_kb IS NOT NULL
ORDER BY sum_rss_kb - distinct_kb DESC, step
LIMIT 1;
