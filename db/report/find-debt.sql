-- For each run and region the most pages that were in debt, and when first.
SELECT r.scenario, r.backend, g.observed || '.' || g.region || coalesce('#' || g.case_name, '')
           AS observed, max(g.debt) AS debt, min(g.step) AS step
FROM run AS r JOIN region AS g USING (run)
WHERE r.run_id IN (SELECT value FROM json_each(:runs)) AND g.debt > 0
  AND g.debt = (SELECT max(m.debt) FROM region AS m
                WHERE m.run = g.run AND m.observed = g.observed AND m.region = g.region
                  AND m.case_name IS g.case_name)
GROUP BY r.run_id, g.observed, g.region, g.case_name
ORDER BY max(g.debt) DESC, r.scenario, r.backend, r.run_id, g.observed, g.region, g.case_name;
