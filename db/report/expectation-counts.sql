-- How many expectations of a run held, failed, or could not be checked.
SELECT count(*) FILTER (WHERE result = 'held') AS held,
       count(*) FILTER (WHERE result = 'failed') AS failed,
       count(*) FILTER (WHERE result = 'not checked') AS not_checked,
       printf('%,d not checked', count(*) FILTER (WHERE result = 'not checked')) AS rest
FROM expectation JOIN run USING (run)
WHERE run_id = :run_id;
