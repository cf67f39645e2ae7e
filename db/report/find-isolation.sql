-- Whether every read saw the stamps that it was meant to see.
SELECT count(*) FILTER (WHERE verdict = 'held') AS held,
       count(*) FILTER (WHERE verdict = 'differs') AS differs,
       group_concat(scenario || ' on ' || backend || ', step ' || step
                    || coalesce(' (' || observed || coalesce('.' || region, '') || ')', ''), '; ')
           FILTER (WHERE verdict = 'differs') AS places
FROM (SELECT * FROM checks
      WHERE run_id IN (SELECT value FROM json_each(:runs)) AND name = 'stamps'
      ORDER BY scenario, backend, run_id, step);
