-- Cross-checks of a run whose two sources disagree, a line each.
SELECT printf('step %d: %s%s: %s against %s', c.step, c.name,
              coalesce(' of ' || c.observed || coalesce('.' || c.region, '')
                       || coalesce('#' || c.case_name, ''), ''),
              coalesce(c.left_value, 'unknown'), coalesce(c.right_value, 'unknown'))
       || iif(c.tolerance > 0, printf(' (tolerance %d)', c.tolerance), '')
       || coalesce(': ' || c.detail, '') AS line
FROM run JOIN cross_check AS c USING (run)
WHERE run_id = :run_id AND c.verdict = 'differs'
ORDER BY c.step, c.nr;
