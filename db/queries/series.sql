-- What a series says: two ways beside each other, with the interval of their ratio. One run each says
-- nothing of a difference in time.
SELECT series_id, differs, a_value, b_value, region_bytes / 1024 AS kib, a_backend AS backend, a_n, b_n,
       a_median / 1e3 AS a_us, b_median / 1e3 AS b_us, round(ratio, 2) AS times, round(low, 2) AS low,
       round(high, 2) AS high, verdict
FROM comparisons
WHERE lane = 'handed_over' AND quantity = 'time_ns'
ORDER BY series_id, differs, a_value, b_value, region_bytes;
