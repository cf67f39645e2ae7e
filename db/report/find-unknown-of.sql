-- In how many runs a quantity is unknown somewhere, and why.
SELECT count(DISTINCT run_id) AS runs,
       (SELECT group_concat(reason, '; ')
        FROM (SELECT DISTINCT reason FROM json_each(:runs) JOIN unknowns ON run_id = value
              WHERE scenario <> 'watch' AND quantity = :quantity ORDER BY reason)) AS reasons
FROM json_each(:runs) JOIN unknowns ON run_id = value
WHERE scenario <> 'watch' AND quantity = :quantity;
