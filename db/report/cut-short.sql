-- Runs that did not come to their end, or have not yet, and how far they came.
SELECT run_id, scenario, backend,
       CASE status WHEN 'running' THEN 'still running, ' || far || ' so far'
                   ELSE status || ' after ' || far || coalesce(': ' || message, '') END AS ended
FROM (SELECT *, n || iif(scenario = 'watch', ' sample', ' step') || iif(n = 1, '', 's') AS far
      FROM (SELECT *, (SELECT count(*) FROM step s WHERE s.run = r.run) AS n FROM run r
            WHERE run_id IN (SELECT value FROM json_each(:runs)) AND status <> 'complete'))
ORDER BY scenario, backend, started_at, run_id;
