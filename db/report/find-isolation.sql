-- Whether every read saw the stamps that it was meant to see.
SELECT count(*) FILTER (WHERE verdict = 'held') AS held,
       count(*) FILTER (WHERE verdict = 'differs') AS differs,
       group_concat(scenario || ' on ' || backend || ', step ' || step
                    || coalesce(' (' || observed || coalesce('.' || region, '') || ')', ''), '; ')
           FILTER (WHERE verdict = 'differs') AS places
FROM (SELECT r.scenario, r.backend, c.*
      FROM run AS r JOIN cross_check AS c USING (run)
      WHERE r.run_id IN (SELECT value FROM json_each(:runs)) AND c.name = 'stamps'
      ORDER BY r.scenario, r.backend, r.run_id, c.step, c.nr);
