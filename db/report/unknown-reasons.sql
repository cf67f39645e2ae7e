-- What is unknown, by reason, and what would tell it.
WITH missing AS MATERIALIZED (
    SELECT reason, unlocks, quantity, scenario || ' on ' || backend AS place
    FROM json_each(:runs) JOIN unknowns ON run_id = value
)
SELECT reason, count(*) AS n,
       (SELECT group_concat(quantity, ', ')
        FROM (SELECT DISTINCT quantity FROM missing AS q WHERE q.reason = m.reason ORDER BY quantity))
           AS quantities,
       (SELECT group_concat(place, ', ')
        FROM (SELECT DISTINCT place FROM missing AS p WHERE p.reason = m.reason ORDER BY place))
           AS scenarios,
       nullif(unlocks, '') AS unlocks
FROM missing AS m
GROUP BY reason
ORDER BY count(*) DESC, reason;
