-- What two series differ in beyond their spread, and by more than one of them moved by itself from
-- quarter to quarter (drift: the quotient of its largest and smallest median): machines do not
-- stand still.
CREATE TEMP TABLE diff_spread AS
WITH ordered AS (
    SELECT *, sum(runs) OVER (PARTITION BY a, lane, occurrence, quantity, side, part
                              ORDER BY value) AS upto,
           sum(runs) OVER (PARTITION BY a, lane, occurrence, quantity, side, part) AS n
    FROM temp.compared_values),
middle AS (
    SELECT a, lane, occurrence, quantity, side, part, min(value) AS median
    FROM ordered WHERE upto >= (n + 1) / 2
    GROUP BY a, lane, occurrence, quantity, side, part),
moved AS (
    SELECT a, lane, occurrence, quantity, 1.0 * max(median) / min(median) AS drift
    FROM middle GROUP BY a, lane, occurrence, quantity, side),
drifted AS MATERIALIZED (
    SELECT a, lane, occurrence, quantity, max(drift) AS drift
    FROM moved GROUP BY a, lane, occurrence, quantity)
SELECT scenario, backend, params, lane, occurrence, quantity, a_n, b_n, a_median, b_median, ratio, low,
       high, drift,
       CASE WHEN verdict IN ('more', 'less') AND max(ratio, 1 / ratio) <= drift THEN 'drift'
            ELSE verdict END AS verdict
FROM compared_ratios r JOIN diff_side s ON s.rowid = r.a
     LEFT JOIN drifted USING (a, lane, occurrence, quantity)
ORDER BY scenario, backend, params, lane, occurrence, quantity
