-- The figures of a series by size, a row per line, size and quantity: what a chart draws and what
-- stands in its place where there is one size. Lines and places are counted from 0. `time`: what
-- time_ns is the time of: handing over, or all steps where nothing in the series is handed over.
-- each_ns: what a page more takes, from the line's second largest size to its largest, where the
-- intervals of the two do not meet.
WITH line AS MATERIALIZED (
    SELECT c.*, dense_rank() OVER (ORDER BY scenario_nr, backend_nr, length(way), way, kernel, machine, page_size)
                    - 1 AS line,
           dense_rank() OVER (ORDER BY region_bytes) - 1 AS place,
           scenario || iif(count(*) OVER () > count(*) OVER (PARTITION BY backend), ' on ' || backend, '')
               || coalesce((SELECT group_concat(', ' || key || '=' || value, '')
                            FROM json_each(way)), '') AS name
    FROM combinations c JOIN combination_ways w USING (series_id, combination)
    WHERE c.series_id = :series AND region_bytes > 0),
stats AS MATERIALIZED (
    SELECT * FROM phase_stats WHERE series_id = :series AND phase IN ('handed_over', 'all')),
time (phase) AS (
    SELECT coalesce(max(phase), 'all') FROM stats WHERE phase = 'handed_over'),
figure AS (
    SELECT l.line, l.place, l.name, l.region_bytes, l.page_size, l.emulated, s.quantity, s.n, s.median,
           s.low, s.high, time.phase AS time
    FROM line l, time
         JOIN stats s ON s.scenario = l.scenario AND s.backend = l.backend AND s.params = l.params
                     AND s.kernel IS l.kernel AND s.page_size = l.page_size
    WHERE s.phase = CASE WHEN s.quantity IN ('time_ns', 'pagetable_kb') THEN time.phase ELSE 'all' END
      AND s.quantity IN ('time_ns', 'minflt', 'pagetable_kb', 'system_kb')),
steps AS (
    SELECT *, lag(low) OVER w AS before_low, lag(high) OVER w AS before_high,
           lag(median) OVER w AS before, lag(region_bytes) OVER w AS before_bytes,
           place = max(place) OVER (PARTITION BY line, quantity) AS last
    FROM figure WINDOW w AS (PARTITION BY line, quantity ORDER BY place))
SELECT line, place, (SELECT count(DISTINCT place) FROM line) AS places,
       (SELECT count(DISTINCT line) FROM line) AS lines, name, region_bytes / 1024.0 AS kb, emulated,
       quantity, n, median, low, high, time,
       CASE WHEN last AND quantity = 'time_ns' AND low > before_high
            THEN (median - before) * page_size / (region_bytes - before_bytes) END AS each_ns
FROM steps
ORDER BY line, place, quantity;
