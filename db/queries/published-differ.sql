-- Which published values come out differently here, and why?
.headers on
.mode column
SELECT scenario, case_name, memory, backend, observed, quantity,
       ifnull(published, predicted) AS expected, measured, compare, reason
FROM published
WHERE same = 0
ORDER BY scenario, backend, nr;
