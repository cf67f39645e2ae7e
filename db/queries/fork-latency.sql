-- How long does fork take, by size of the forking process? (all complete runs)
.headers on
.mode column
WITH forks AS (
    SELECT s.backend, p.rss_kb, s.dur_ns,
           row_number() OVER (PARTITION BY s.backend, p.rss_kb >> 10 ORDER BY s.dur_ns) AS k,
           count(*) OVER (PARTITION BY s.backend, p.rss_kb >> 10) AS n
    FROM steps s
         JOIN runs r USING (run_id)
         JOIN footprint p ON p.run_id = s.run_id AND p.step = s.step AND p.actor = s.actor
    WHERE s.action = 'fork' AND r.status = 'complete' AND p.rss_kb IS NOT NULL)
SELECT backend, (rss_kb >> 10) AS rss_mb, max(n) AS forks, round(min(dur_ns) / 1e3, 1) AS min_us,
       round(avg(CASE WHEN k IN ((n + 1) / 2, n / 2 + 1) THEN dur_ns END) / 1e3, 1) AS median_us,
       round(max(dur_ns) / 1e3, 1) AS max_us
FROM forks
GROUP BY backend, rss_kb >> 10
ORDER BY backend, rss_mb;
