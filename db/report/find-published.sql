-- How many published values were measured again, and how many came out the same.
SELECT scenario, backend, memory, count(same) AS measured, sum(same) AS same
FROM published
WHERE same IS NOT NULL
GROUP BY scenario, backend, memory
ORDER BY scenario, backend, memory;
