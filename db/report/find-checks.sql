-- Cross-checks of the lab on itself (contents and stray bytes have findings of their own).
WITH compared AS NOT MATERIALIZED (
    SELECT r.scenario, r.backend, r.run_id, c.*
    FROM run AS r JOIN cross_check AS c USING (run)
    WHERE r.run_id IN (SELECT value FROM json_each(:runs)) AND c.name NOT IN ('stamps', 'stray_bytes')
)
SELECT count(*) FILTER (WHERE verdict = 'held') AS held,
       count(*) FILTER (WHERE verdict = 'differs') AS differs,
       count(*) FILTER (WHERE verdict = 'not checked') AS not_checked,
       (SELECT group_concat(place, '; ')
        FROM (SELECT scenario || ' on ' || backend || ', step ' || step || ', ' || name
                     || coalesce(' of ' || observed || coalesce('.' || region, ''), '') || ': '
                     || coalesce(left_value, 'unknown') || ' against '
                     || coalesce(right_value, 'unknown')
                     || iif(tolerance > 0, ' (tolerance ' || tolerance || ')', '') AS place
              FROM compared
              WHERE verdict = 'differs'
              ORDER BY scenario, backend, run_id, step, nr
              LIMIT 6))
           || iif(count(*) FILTER (WHERE verdict = 'differs') > 6, '; ...', '.') AS places
FROM compared;
