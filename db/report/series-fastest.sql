-- Of a parameter with more than two values that was varied in a series: which value took least time
-- to hand the memory over (or all steps, where nothing is handed over), size by size, and how much
-- longer each other took. grp: which of the sizes; nr: the value's place, 1 the fastest; ratio, low,
-- high: to the fastest; verdict: `more`, or no difference seen to it, or too few runs (NULL);
-- told: one of them is `more`.
WITH compared AS MATERIALIZED (
    SELECT r.*, p.differs, p.a_value, p.b_value
    FROM compared_ratios r JOIN compared_pairs p USING (a, b)
    WHERE p.series_id = :series AND quantity = 'time_ns' AND lane IN ('handed_over', 'all')
      AND differs NOT IN ('scenario', 'backend')),
used AS MATERIALIZED (
    SELECT * FROM compared WHERE lane = (SELECT max(lane) FROM compared)),
side AS (
    SELECT differs, lane, a AS combination, a_value AS value, a_median AS median, a_n AS n FROM used
    UNION SELECT differs, lane, b, b_value, b_median, b_n FROM used),
placed AS MATERIALIZED (
    SELECT s.*, x.scenario, x.backend, x.emulated, x.region_bytes, v.way, v.scenario_nr, v.backend_nr,
           json_remove(x.params, '$."' || differs || '"') AS others, count(*) OVER one AS ways,
           row_number() OVER (one ORDER BY median, combination) AS nr,
           first_value(combination) OVER (one ORDER BY median, combination) AS fastest
    FROM side s JOIN combinations x USING (combination) JOIN combination_ways v USING (combination)
    WINDOW one AS (PARTITION BY differs, scenario, backend, kernel, region_bytes,
                                json_remove(x.params, '$."' || differs || '"')))
SELECT dense_rank() OVER (ORDER BY p.differs, scenario_nr, backend_nr, region_bytes, others) AS grp,
       p.nr, p.differs, p.scenario, p.backend, p.emulated, p.region_bytes / 1024 AS region_kb, p.value,
       p.median, p.n, p.lane, ways,
       coalesce((SELECT group_concat(key || '=' || value, ', ') FROM json_each(p.way)
                 WHERE key <> p.differs), '') AS rest,
       iif(u.a = fastest, u.ratio, 1 / u.ratio) AS ratio, iif(u.a = fastest, u.low, 1 / u.high) AS low,
       iif(u.a = fastest, u.high, 1 / u.low) AS high,
       CASE WHEN u.verdict IN ('more', 'less') THEN 'more' ELSE u.verdict END AS verdict,
       sum(u.verdict IN ('more', 'less')) OVER (
           PARTITION BY p.differs, scenario, backend, region_bytes, others) > 0 AS told
FROM placed p
     LEFT JOIN used u ON u.a = min(fastest, p.combination) AND u.b = max(fastest, p.combination)
                      OR u.b = min(fastest, p.combination) AND u.a = max(fastest, p.combination)
WHERE ways > 2
ORDER BY grp, p.nr;
