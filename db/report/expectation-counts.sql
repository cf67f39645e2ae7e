-- How many expectations of a run held, failed, or could not be checked.
SELECT held, failed, not_checked, printf('%,d not checked', not_checked) AS rest
FROM runs
WHERE run_id = :run_id;
