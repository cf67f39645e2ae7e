-- Of each run the step in which the sum of RSS and the system's figure are furthest apart, if they are by
-- more than that figure is exact to; where it is unknown, the sum of RSS and the distinct frames. At most 8
-- runs, those with the most.
WITH apart AS (
    SELECT v.*, abs(sum_rss_kb - coalesce(system_kb, distinct_kb)) AS kb
    FROM json_each(:runs) AS j JOIN footprint_vs_system AS v ON v.run_id = j.value
    WHERE sum_rss_kb IS NOT NULL AND distinct_kb IS NOT NULL),
most AS (
    SELECT *, row_number() OVER (PARTITION BY run_id ORDER BY kb DESC, step) AS nr FROM apart)
SELECT * FROM (SELECT * FROM most WHERE nr = 1 AND kb > iif(system_kb IS NULL, 0, ifnull(system_tolerance_kb, 0))
               ORDER BY kb DESC, run_id LIMIT 8)
ORDER BY scenario, backend, run_id;
