-- Which series a report tells of: those that its runs (:runs) are of, or, of a page about the latest
-- runs (:runs is NULL), the newest that has a counted run.
SELECT series_id FROM series g
WHERE EXISTS (SELECT 1 FROM run r WHERE r.series = g.series AND status = 'complete' AND NOT warm_up
              AND (:runs IS NULL OR run_id IN (SELECT value FROM json_each(:runs))))
ORDER BY started_at DESC, series_id DESC
LIMIT iif(:runs IS NULL, 1, -1);
