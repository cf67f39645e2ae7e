-- Cross-checks of the lab on itself (contents and stray bytes have findings of their own).
WITH compared AS NOT MATERIALIZED (
    SELECT c.* FROM json_each(:runs) JOIN checks AS c ON run_id = value WHERE name NOT IN ('stamps', 'stray_bytes')
)
SELECT count(*) FILTER (WHERE verdict = 'held') AS held,
       count(*) FILTER (WHERE verdict = 'differs') AS differs,
       count(*) FILTER (WHERE verdict = 'not checked') AS not_checked,
       (SELECT group_concat(scenario || ' on ' || backend || ', step ' || step || ', ' || told, '; ')
        FROM (SELECT * FROM compared WHERE verdict = 'differs'
              ORDER BY scenario, backend, run_id, step LIMIT 6))
           || iif(count(*) FILTER (WHERE verdict = 'differs') > 6, '; ...', '.') AS places
FROM compared;
