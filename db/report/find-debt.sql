-- For each run and region the most pages that were in debt, and when first.
SELECT scenario, backend, observed || '.' || region || coalesce('#' || case_name, '') AS observed,
       debt_pages AS debt, step, inferred
FROM (SELECT run_id, scenario, backend, step, observed, region, case_name, debt_pages, inferred,
             row_number() OVER (PARTITION BY run_id, observed, region, case_name
                                ORDER BY debt_pages DESC, step) AS rank
      FROM debts
      WHERE run_id IN (SELECT value FROM json_each(:runs)) AND scenario <> 'watch' AND debt_pages > 0)
WHERE rank = 1
ORDER BY debt DESC, scenario, backend, run_id, 3;
