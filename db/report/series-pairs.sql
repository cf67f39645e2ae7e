-- Ways beside each other: the time of each phase, and of every quantity what handing over and all steps
-- say. Times in nanoseconds; ratio: of b to a. A look without an action takes none.
SELECT CASE differs WHEN 'scenario' THEN a_scenario WHEN 'backend' THEN a_scenario || ' on ' || a_value
                    ELSE a_scenario || ' ' || differs || '=' || a_value END AS a,
       CASE differs WHEN 'scenario' THEN b_scenario WHEN 'backend' THEN 'on ' || b_value
                    ELSE differs || '=' || b_value END AS b,
       a_backend AS backend, a_params AS params, region_bytes / 1024 AS region_kb,
       lane || iif(occurrence > 1, ' (' || occurrence || ')', '') AS phase, quantity, a_n, b_n, a_median,
       b_median, iif(ratio IS NULL, NULL, printf('%.3f', ratio)) AS ratio,
       iif(low IS NULL, NULL, printf('%.3f', low)) AS low,
       iif(high IS NULL, NULL, printf('%.3f', high)) AS high, verdict
FROM comparisons
WHERE series_id = :series AND (lane IN ('handed_over', 'all')
                                OR quantity = 'time_ns' AND a_median + b_median > 0)
ORDER BY differs, a_scenario, a_backend, a_params, b_scenario, b_backend, b_params, quantity <> 'time_ns',
         quantity, lane, occurrence;
