-- In how many runs a quantity is unknown somewhere, and why.
SELECT count(DISTINCT run_id) AS runs,
       (SELECT group_concat(reason, '; ')
        FROM (SELECT DISTINCT reason FROM unknowns
              WHERE run_id IN (SELECT value FROM json_each(:runs)) AND scenario <> 'watch'
                AND quantity = :quantity ORDER BY reason)) AS reasons
FROM unknowns
WHERE run_id IN (SELECT value FROM json_each(:runs)) AND scenario <> 'watch' AND quantity = :quantity;
