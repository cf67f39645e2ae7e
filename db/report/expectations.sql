-- What the scenario expected of a run: failed ones first, then those not checked, then held.
SELECT result, step, observed, key, expected, coalesce(measured, 'unknown') AS measured, reason,
       line
FROM expectations
WHERE run_id = :run_id
ORDER BY CASE result WHEN 'failed' THEN 1 WHEN 'not checked' THEN 2 ELSE 3 END, step, line,
         observed, key;
