-- Values that one side or both do not know: nothing is said of them.
SELECT scenario, backend, count(*) AS n, group_concat(DISTINCT quantity) AS quantities
FROM diff_found WHERE verdict = 'unknown' GROUP BY scenario, backend ORDER BY scenario, backend
