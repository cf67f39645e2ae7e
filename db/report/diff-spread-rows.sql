-- The differences beyond their spread for people to read.
SELECT scenario, backend, params, CASE occurrence WHEN 1 THEN lane ELSE lane || ' (' || occurrence || ')' END AS phase,
       quantity,
       CASE quantity WHEN 'time_ns' THEN printf('%.4g µs', a_median / 1e3) ELSE printf('%.6g', a_median) END AS a,
       CASE quantity WHEN 'time_ns' THEN printf('%.4g µs', b_median / 1e3) ELSE printf('%.6g', b_median) END AS b,
       coalesce(printf('%.3g times (%.3g to %.3g)', ratio, low, high), verdict) AS ratio,
       a_n || ', ' || b_n AS runs
FROM diff_spread WHERE verdict IN ('more', 'less')
ORDER BY abs(ratio - 1) IS NULL, max(ratio, 1 / ratio) DESC, scenario, backend, params, lane, occurrence
LIMIT 100
