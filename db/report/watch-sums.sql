-- The sums at the first sample, where RSS is furthest from what is used, and at the last. RSS and PSS
-- leave out explicit huge pages (huge: there were any), distinct frames do not.
WITH h AS MATERIALIZED (
    SELECT EXISTS (SELECT 1 FROM run r JOIN watch_region w USING (run) JOIN region g USING (run, step, nr)
                   WHERE r.run_id = :run_id AND w.kind = 'huge pages' AND g.mapped > 0) AS huge
),
s AS MATERIALIZED (
    SELECT *, row_number() OVER (ORDER BY step) AS first,
           row_number() OVER (ORDER BY sum_rss_kb - iif(huge, sum_pss_kb, coalesce(distinct_kb, sum_pss_kb))
                              DESC, step) AS worst,
           row_number() OVER (ORDER BY step DESC) AS last
    FROM watch_samples, h
    WHERE run_id = :run_id
)
SELECT step, t_s || ' s' AS after,
       substr(iif(first = 1, ', first', '') || iif(worst = 1, ', furthest apart', '')
              || iif(last = 1, ', last', ''), 3) AS which,
       processes, sum_rss_kb, sum_pss_kb, distinct_kb, sum_uss_kb, pagetable_kb, system_kb, huge,
       'sum_rss_kb,sum_pss_kb,distinct_kb,sum_uss_kb,pagetable_kb' AS unknown_keys
FROM s
WHERE first = 1 OR worst = 1 OR last = 1
ORDER BY step;
