-- What tells the combinations of a series apart beside how much memory they have: the lines of a chart.

-- One row per combination of a series.
--   series_id: the series
--   combination: its key, as in `combinations`
--   way: those parameters that were varied, but for the ones that set how much memory there is, as a
--     JSON object; `{}`: none
--   scenario_nr: where the scenario stands in the command
--   backend_nr: where the backend stands there
CREATE VIEW combination_ways AS
WITH held AS MATERIALIZED (
    SELECT c.series_id, combination, scenario, c.backend, region_bytes, j.key,
           CASE j.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE j.value END AS value
    FROM combinations c JOIN series g USING (series_id), json_each(g.spec, '$.params') p,
         json_each(c.params) j
    WHERE j.key = p.key AND json_array_length(p.value) > 1),
-- Of the same amount of memory with several values: another thing than the amount.
other AS MATERIALIZED (
    SELECT DISTINCT series_id, key FROM held
    GROUP BY series_id, key, scenario, backend, region_bytes
    HAVING count(DISTINCT value) > 1)
SELECT c.series_id, c.combination,
       (SELECT json_group_object(key, value) FROM held h
        WHERE h.combination = c.combination AND (h.series_id, h.key) IN other) AS way,
       (SELECT j.key FROM json_each(g.spec, '$.scenarios') j WHERE value = c.scenario) AS scenario_nr,
       (SELECT j.key FROM json_each(g.spec, '$.backends') j WHERE value = c.backend) AS backend_nr
FROM combinations c JOIN series g USING (series_id);
