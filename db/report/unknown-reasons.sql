-- What is unknown, by reason, and what would tell it.
WITH missing AS (
    SELECT u.why, u.quantity, r.scenario || ' on ' || r.backend AS place
    FROM run AS r JOIN unknown AS u USING (run)
    WHERE r.run_id IN (SELECT value FROM json_each(:runs))
)
SELECT w.reason, count(*) AS n,
       (SELECT group_concat(quantity, ', ')
        FROM (SELECT DISTINCT quantity FROM missing AS q WHERE q.why = m.why ORDER BY quantity))
           AS quantities,
       (SELECT group_concat(place, ', ')
        FROM (SELECT DISTINCT place FROM missing AS p WHERE p.why = m.why ORDER BY place))
           AS scenarios,
       nullif(w.unlocks, '') AS unlocks
FROM missing AS m JOIN reason AS w ON w.code = m.why
GROUP BY m.why
ORDER BY count(*) DESC, m.why;
