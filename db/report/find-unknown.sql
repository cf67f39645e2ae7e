-- How many values are unknown, and for how many reasons.
SELECT total(n) AS unknown, count(DISTINCT reason) AS reasons
FROM unknown_reasons
WHERE run_id IN (SELECT value FROM json_each(:runs));
