-- How the published and predicted values that a run compares with came out, by quantity.
SELECT scenario, backend, memory, quantity, count(*) AS published, total(same) AS same,
       count(same) - total(same) AS differing, count(*) - count(same) AS unknown
FROM published
WHERE run_id IS NOT NULL
GROUP BY scenario, backend, memory, quantity
ORDER BY scenario, backend, memory, min(nr);
