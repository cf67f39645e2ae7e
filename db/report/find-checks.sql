-- Cross-checks of the lab on itself (contents and stray bytes have findings of their own).
SELECT count(*) FILTER (WHERE verdict = 'held') AS held,
       count(*) FILTER (WHERE verdict = 'differs') AS differs,
       count(*) FILTER (WHERE verdict = 'not checked') AS not_checked,
       group_concat(place, '; ') FILTER (WHERE verdict = 'differs' AND rank <= 6)
           || iif(count(*) FILTER (WHERE verdict = 'differs') > 6, '; ...', '.') AS places
FROM (SELECT c.verdict,
             row_number() OVER (PARTITION BY c.verdict
                                ORDER BY r.scenario, r.backend, r.run_id, c.step, c.nr) AS rank,
             r.scenario || ' on ' || r.backend || ', step ' || c.step || ', ' || c.name
             || coalesce(' of ' || c.observed || coalesce('.' || c.region, ''), '') || ': '
             || coalesce(c.left_value, 'unknown') || ' against '
             || coalesce(c.right_value, 'unknown')
             || iif(c.tolerance > 0, ' (tolerance ' || c.tolerance || ')', '') AS place
      FROM run AS r JOIN cross_check AS c USING (run)
      WHERE r.run_id IN (SELECT value FROM json_each(:runs)) AND c.name NOT IN ('stamps', 'stray_bytes')
      ORDER BY rank);
