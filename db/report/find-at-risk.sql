-- Pages whose next write costs a new frame, over the actors, at the end of each run.
SELECT r.scenario, r.backend, g.step, sum(g.at_risk) AS pages,
       max(instr(' ' || g.inferred || ' ', ' at_risk ')) > 0 AS inferred,
       EXISTS (SELECT 1 FROM unknown AS u WHERE u.run = r.run AND u.step = g.step
               AND u.quantity = 'at_risk') AS unknown,
       sum(g.at_risk) * r.page_size / 1024 AS kb
FROM run AS r JOIN region AS g USING (run)
WHERE r.run_id IN (SELECT value FROM json_each(:runs)) AND r.scenario <> 'watch'
  AND g.observed <> 'message'
  AND g.step = (SELECT max(s.step) FROM step AS s WHERE s.run = r.run)
GROUP BY r.run_id
HAVING sum(g.at_risk) > 0
ORDER BY kb DESC, r.scenario, r.backend, r.run_id;
