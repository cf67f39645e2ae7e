-- What a series says of ways beside each other, size by size: how long handing the memory over took
-- (or all steps, where nothing in the series is handed over). `part`: which ways, all sizes of them; several:
-- of a parameter that has more than two values.
WITH compared AS MATERIALIZED (
    SELECT r.*, p.differs, p.a_value, p.b_value
    FROM compared_ratios r JOIN compared_pairs p USING (a, b)
    WHERE p.series_id = :series AND quantity = 'time_ns' AND lane IN ('handed_over', 'all')),
named AS (
    SELECT r.*, x.region_bytes, x.emulated,
           iif(differs = 'backend', '', 'on ' || x.backend) AS place,
           coalesce((SELECT group_concat(key || '=' || value, ', ') FROM json_each(v.way)
                     WHERE key <> differs), '') AS rest,
           CASE differs WHEN 'scenario' THEN x.scenario || ' and ' || y.scenario
                        WHEN 'backend' THEN x.scenario || ' on ' || a_value || ' and on ' || b_value
                        ELSE x.scenario || ' with ' || differs || '=' || a_value || ' and ' || b_value
           END AS ways,
           CASE differs WHEN 'scenario' THEN 'by fork' WHEN 'backend' THEN 'on ' || a_value
                        ELSE 'with ' || differs || '=' || a_value END AS a_words,
           CASE differs WHEN 'backend' THEN 'on ' || b_value
                        WHEN 'scenario' THEN iif(EXISTS (SELECT 1 FROM step s WHERE s.run = r.b
                                                         AND s.action = 'ool_send'),
                                                 'out of line', 'by ' || y.scenario)
                        ELSE 'with ' || differs || '=' || b_value END AS b_words,
           v.scenario_nr, v.backend_nr
    FROM compared r
         JOIN combinations x ON x.combination = r.a JOIN combinations y ON y.combination = r.b
         JOIN combination_ways v ON v.combination = r.a
    WHERE r.lane = (SELECT max(lane) FROM compared))
SELECT *, differs NOT IN ('scenario', 'backend')
              AND 2 < (SELECT json_array_length(spec, '$.params."' || differs || '"')
                       FROM series WHERE series_id = :series) AS several,
       dense_rank() OVER (ORDER BY differs <> 'scenario', differs, scenario_nr, backend_nr, ways, length(rest),
                             place, rest, emulated) AS part
FROM named
ORDER BY part, region_bytes, a, b;
