-- How many values are unknown, and for how many reasons.
SELECT count(*) AS unknown, count(DISTINCT why) AS reasons
FROM run JOIN unknown USING (run)
WHERE run_id IN (SELECT value FROM json_each(:runs));
