-- Cross-checks of a run whose two sources disagree, a line each.
SELECT 'step ' || step || ': ' || told || coalesce(': ' || detail, '') AS line
FROM checks
WHERE run_id = :run_id AND verdict = 'differs';
