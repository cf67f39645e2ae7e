-- How many values are unknown, and for how many reasons.
SELECT count(*) AS unknown, count(DISTINCT reason) AS reasons
FROM json_each(:runs) JOIN unknowns ON run_id = value;
