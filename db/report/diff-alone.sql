-- Combinations that one side has alone.
SELECT CASE side WHEN 0 THEN 'A' ELSE 'B' END AS side, scenario, backend, params
FROM diff_side GROUP BY scenario, backend, params HAVING count(*) = 1
ORDER BY scenario, backend, params
