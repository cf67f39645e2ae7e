-- How many expectations held, failed, or could not be checked.
SELECT total(held) AS held, total(failed) AS failed, total(not_checked) AS not_checked
FROM runs
WHERE run_id IN (SELECT value FROM json_each(:runs));
