-- How many expectations held, failed, or could not be checked.
SELECT count(*) FILTER (WHERE result = 'held') AS held, count(*) FILTER (WHERE result = 'failed') AS failed,
       count(*) FILTER (WHERE result = 'not checked') AS not_checked
FROM json_each(:runs) JOIN expectations ON run_id = json_each.value;
