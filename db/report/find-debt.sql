-- For each run and region the most pages that were in debt, and when first.
WITH carried AS MATERIALIZED (
    SELECT run_id, scenario, backend, step, observed || '.' || region || coalesce('#' || case_name, '')
               AS observed, debt_pages AS debt, inferred
    FROM json_each(:runs) JOIN debts ON run_id = value
    WHERE scenario <> 'watch' AND debt_pages > 0)
SELECT scenario, backend, observed, debt, step, inferred
FROM (SELECT *, row_number() OVER (PARTITION BY run_id, observed ORDER BY debt DESC, step) AS rank
      FROM carried)
WHERE rank = 1
ORDER BY debt DESC, scenario, backend, run_id, observed;
