-- How long fork took by size of the forking process, a row per line and size, of lines with three
-- sizes at least: complete runs (:runs, or all), but those that series of the report tell of
-- (:series, a JSON array). A line is a scenario on a backend with its parameters that are no numbers.
WITH forks AS (
    SELECT r.scenario, r.backend, r.params, p.kernel, p.machine, p.emulated, f.rss_kb, s.dur_ns,
           coalesce((SELECT group_concat(', ' || key || '=' || value, '') FROM json_each(r.params)
                     WHERE type = 'text'), '') AS rest
    FROM step s JOIN run r USING (run) JOIN run_places p USING (run)
         JOIN process f ON f.run = s.run AND f.step = s.step AND f.actor = s.actor
    WHERE s.action = 'fork' AND r.status = 'complete' AND warm_up IS NOT 1 AND f.rss_kb > 0
      AND s.dur_ns > 0
      AND (:runs IS NULL OR run_id IN (SELECT value FROM json_each(:runs)))
      AND (series IS NULL OR (SELECT series_id FROM series g WHERE g.series = r.series)
                             NOT IN (SELECT value FROM json_each(:series)))),
ranked AS (
    SELECT *, row_number() OVER (one ORDER BY dur_ns) AS i, count(*) OVER (one) AS n
    FROM forks
    WINDOW one AS (PARTITION BY scenario, backend, rest, kernel, machine, params)),
size AS (
    SELECT scenario, backend, rest, kernel, machine, emulated, avg(rss_kb) AS rss_kb, n,
           min(dur_ns) AS min, max(dur_ns) AS max,
           avg(dur_ns) FILTER (WHERE i IN ((n + 1) / 2, n / 2 + 1)) AS median
    FROM ranked GROUP BY scenario, backend, rest, kernel, machine, params),
line AS (
    SELECT *, dense_rank() OVER (ORDER BY scenario, backend, rest, kernel, machine) AS nr
    FROM size),
large AS (
    SELECT nr, row_number() OVER (ORDER BY nr) - 1 AS line
    FROM line GROUP BY nr HAVING count(DISTINCT CAST(rss_kb / 1024 AS INTEGER)) >= 3)
SELECT line, dense_rank() OVER (ORDER BY rss_kb) - 1 AS place, (SELECT count(*) FROM large) AS lines,
       count(*) OVER () AS places, scenario || ' on ' || backend || rest AS name, emulated, rss_kb AS kb,
       'time_ns' AS quantity, n, median, min AS low, max AS high, NULL AS each_ns
FROM line JOIN large USING (nr)
ORDER BY line, rss_kb;
