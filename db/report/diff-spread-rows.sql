-- The differences beyond their spread for people to read.
SELECT scenario, backend, params, CASE occurrence WHEN 1 THEN lane ELSE lane || ' (' || occurrence || ')' END AS phase,
       quantity,
       CASE WHEN quantity <> 'time_ns' THEN printf('%.6g', a_median)
            WHEN a_median < 1e3 THEN printf('%.0f ns', a_median)
            WHEN a_median < 1e6 THEN printf('%.4g µs', a_median / 1e3)
            ELSE printf('%.4g ms', a_median / 1e6) END AS a,
       CASE WHEN quantity <> 'time_ns' THEN printf('%.6g', b_median)
            WHEN b_median < 1e3 THEN printf('%.0f ns', b_median)
            WHEN b_median < 1e6 THEN printf('%.4g µs', b_median / 1e3)
            ELSE printf('%.4g ms', b_median / 1e6) END AS b,
       coalesce(printf('%.3g times (%.3g to %.3g)', ratio, low, high), verdict) AS ratio,
       a_n || ', ' || b_n AS runs
FROM diff_spread WHERE verdict IN ('more', 'less')
ORDER BY abs(ratio - 1) IS NULL, max(ratio, 1 / ratio) DESC, scenario, backend, params, lane, occurrence
LIMIT 100
