-- Published and predicted values one by one, with what was measured: first those that differ, then the
-- same, then what was not measured. Sizes in bytes.
SELECT coalesce(CASE same WHEN 1 THEN 'same' WHEN 0 THEN 'differs' END, 'not measured') AS verdict,
       scenario, case_name, memory, observed, quantity, unit, published, predicted, backend,
       measured, reason
FROM published
WHERE scenario IN ('fork-write', 'ool-options')
  AND (same = 0 OR quantity NOT IN ('share_mode', 'ref_count', 'resident'))
ORDER BY same IS NULL, same, nr, backend;
