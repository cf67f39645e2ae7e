-- For each run and region the most pages that were in debt, and when first.
SELECT scenario, backend, observed, debt, step, inferred
FROM (SELECT r.run_id, r.scenario, r.backend, g.step, g.debt,
             instr(' ' || g.inferred || ' ', ' debt ') > 0 AS inferred,
             g.observed || '.' || g.region || coalesce('#' || g.case_name, '') AS observed,
             row_number() OVER (PARTITION BY g.run, g.observed, g.region, g.case_name
                                ORDER BY g.debt DESC, g.step) AS rank
      FROM run AS r JOIN region AS g USING (run)
      WHERE r.run_id IN (SELECT value FROM json_each(:runs)) AND r.scenario <> 'watch'
        AND g.debt > 0)
WHERE rank = 1
ORDER BY debt DESC, scenario, backend, run_id, observed;
