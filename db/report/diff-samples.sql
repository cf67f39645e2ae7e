-- The samples of both sides under the names that the view compared_ratios reads: a is the number
-- of the combination, b nothing. Times of an emulator are compared with its own only, and those of
-- two machines not at all.
CREATE TEMP TABLE compared_values AS
WITH pair AS (
    SELECT min(rowid) AS a, scenario, backend, params, max(series) FILTER (WHERE side = 0) AS a_series,
           max(series) FILTER (WHERE side = 1) AS b_series
    FROM diff_side GROUP BY scenario, backend, params HAVING count(series) = 2),
place AS MATERIALIZED (
    SELECT a, count(DISTINCT v.emulated) = 1 AND count(DISTINCT s.machines) = 1 AS timed
    FROM pair JOIN diff_value v USING (scenario, backend, params)
         JOIN diff_side s USING (scenario, backend, params)
    WHERE v.series = iif(v.side, b_series, a_series) GROUP BY a)
SELECT a, 0 AS b, lane, occurrence, quantity, side, part, value, runs
FROM pair JOIN place USING (a) JOIN diff_value USING (scenario, backend, params)
WHERE series = iif(side, b_series, a_series) AND (timed OR quantity <> 'time_ns')
