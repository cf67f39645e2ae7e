-- Failed expectations of a run, a line each.
SELECT printf('step %d (%s): %s %s: expected %s, measured %s', e.step, s.phase, e.observed, e.key,
              e.expected, coalesce(e.measured, 'unknown'))
       || coalesce(printf('; line %d of the scenario', e.line), '') AS line
FROM run JOIN expectation AS e USING (run) JOIN step AS s USING (run, step)
WHERE run_id = :run_id AND e.result = 'failed'
ORDER BY e.step, e.nr;
