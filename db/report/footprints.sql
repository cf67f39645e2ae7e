-- Of each run the step in which the sum of RSS and the system's figure are furthest apart; where that
-- figure is unknown, the sum of RSS and the distinct frames.
SELECT *,
       (SELECT group_concat(CASE quantity WHEN 'pss_kb' THEN 'sum_pss_kb' ELSE quantity END, ',')
        FROM unknowns AS u
        WHERE u.run_id = f.run_id AND u.step = f.step AND u.region IS NULL)
       || ',residual_kb' AS unknown_keys
FROM (SELECT *, row_number() OVER (
                    PARTITION BY run_id
                    ORDER BY abs(sum_rss_kb - coalesce(system_kb, distinct_kb)) DESC, step) AS nr
      FROM footprint_vs_system
      WHERE run_id IN (SELECT value FROM json_each(:runs))
        AND sum_rss_kb IS NOT NULL AND distinct_kb IS NOT NULL) AS f
WHERE nr = 1
ORDER BY scenario, backend, run_id;
