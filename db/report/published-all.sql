-- Published and predicted values one by one, with what was measured: first those that differ, then the
-- same, then what is not known or was not run. Sizes in bytes; lengths are compared in pages, which are
-- 16 KiB in the source.
SELECT verdict || iif(same IS NOT NULL AND compare = 'pages', ' in pages', '') AS verdict,
       scenario, case_name, memory, observed, quantity, unit, published, predicted, backend,
       measured,
       iif(compare = 'pages' AND measured IS NOT NULL,
           (coalesce(published, predicted) / page_size) || ' and ' || (measured / run_page_size),
           NULL) AS pages, reason
FROM published
WHERE scenario IN ('fork-write', 'ool-options')
  AND (same = 0 OR quantity NOT IN ('share_mode', 'ref_count', 'resident'))
ORDER BY same IS NULL, same, nr, backend;
