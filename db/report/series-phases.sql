-- What the runs of a series took, step by step and in sum; another quantity in place of time_ns tells
-- that (db/REFERENCE.md names them).
SELECT scenario, backend, setting, step, phase || iif(occurrence > 1, ' (' || occurrence || ')', '') AS phase,
       action, n, nullif(unknown, 0) AS unknown, median, low, high, q1, q3, min, max
FROM phase_stats
WHERE series_id = :series AND quantity = 'time_ns' AND max IS NOT 0 -- a look without an action
ORDER BY scenario, backend, params, step IS NULL, step, phase;
