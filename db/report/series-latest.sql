-- Of each combination of a series the latest counted run that is complete; without one the latest
-- that has anything.
SELECT run_id
FROM (SELECT *, row_number() OVER (
          PARTITION BY scenario, backend, params
          ORDER BY status = 'complete' DESC, status <> 'running' DESC, started_at DESC,
                   run_id DESC) AS age
      FROM run r
      WHERE series = (SELECT series FROM series WHERE series_id = :series) AND NOT warm_up
        AND EXISTS (SELECT 1 FROM step s WHERE s.run = r.run))
WHERE age = 1
ORDER BY scenario, backend, started_at, run_id;
