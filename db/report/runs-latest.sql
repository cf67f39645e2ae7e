-- The latest complete run of each scenario on each backend. Without one, and of watches, whose
-- samples stand for themselves, the latest that has anything; one that still runs only if there is
-- nothing else; a warm-up of a series never.
SELECT run_id
FROM (SELECT *, row_number() OVER (
          PARTITION BY scenario, backend
          ORDER BY CASE scenario WHEN 'watch' THEN status <> 'running'
                                 ELSE status = 'complete' END DESC,
                   status <> 'running' DESC, started_at DESC, run_id DESC) AS age
      FROM run r
      WHERE warm_up IS NOT 1
        AND (status = 'complete' OR EXISTS (SELECT 1 FROM step s WHERE s.run = r.run)))
WHERE age = 1
ORDER BY scenario, backend;
