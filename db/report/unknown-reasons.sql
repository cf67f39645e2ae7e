-- What is unknown, by reason, and what would tell it.
WITH missing AS MATERIALIZED (
    SELECT reason, unlocks, quantity, scenario, backend FROM json_each(:runs) JOIN unknowns ON run_id = value),
spread AS MATERIALIZED (
    SELECT *, count(*) OVER (PARTITION BY reason, backend) AS scenarios
    FROM (SELECT DISTINCT reason, scenario, backend FROM missing)),
here AS (
    SELECT backend, count(DISTINCT scenario) AS scenarios
    FROM run WHERE run_id IN (SELECT value FROM json_each(:runs)) GROUP BY backend)
SELECT reason, count(*) AS n,
       (SELECT group_concat(quantity, ', ')
        FROM (SELECT DISTINCT quantity FROM missing AS q WHERE q.reason = m.reason ORDER BY quantity))
           AS quantities,
       (SELECT group_concat(place, ', ')
        FROM (SELECT DISTINCT iif(s.scenarios = h.scenarios AND s.scenarios > 1, 'every scenario', scenario)
                              || ' on ' || backend AS place
              FROM spread AS s JOIN here AS h USING (backend) WHERE s.reason = m.reason ORDER BY place))
           AS scenarios,
       nullif(unlocks, '') AS unlocks
FROM missing AS m
GROUP BY reason
ORDER BY count(*) DESC, reason;
