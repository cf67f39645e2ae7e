-- Failed expectations of a run, a line each.
SELECT printf('step %d (%s): %s %s: expected %s, measured %s', step, phase, observed, key, expected,
              coalesce(measured, 'unknown'))
       || coalesce(printf('; line %d of the scenario', line), '') AS line
FROM expectations
WHERE run_id = :run_id AND result = 'failed';
