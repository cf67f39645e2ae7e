-- Where do two sources disagree, and what could not be checked? (all runs)
.headers on
.mode column
SELECT run_id, scenario, backend, step, name, observed, region, verdict, left_value, right_value,
       tolerance, detail
FROM checks
WHERE verdict <> 'held'
ORDER BY verdict, run_id, step, name;
