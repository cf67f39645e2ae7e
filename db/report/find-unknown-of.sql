-- In how many runs a quantity is unknown somewhere, and why.
WITH missing AS (
    SELECT DISTINCT u.run, w.reason
    FROM run AS r JOIN unknown AS u USING (run) JOIN reason AS w ON w.code = u.why
    WHERE r.run_id IN (SELECT value FROM json_each(:runs)) AND r.scenario <> 'watch'
      AND u.quantity = :quantity)
SELECT count(DISTINCT run) AS runs,
       (SELECT group_concat(reason, '; ') FROM (SELECT DISTINCT reason FROM missing ORDER BY reason))
           AS reasons
FROM missing;
