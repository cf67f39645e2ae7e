-- How many expectations held, failed, or could not be checked.
SELECT count(*) FILTER (WHERE result = 'held') AS held,
       count(*) FILTER (WHERE result = 'failed') AS failed,
       count(*) FILTER (WHERE result = 'not checked') AS not_checked
FROM expectation JOIN run USING (run)
WHERE run_id IN (SELECT value FROM json_each(:runs));
