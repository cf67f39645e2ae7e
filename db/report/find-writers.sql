-- Whose writes had an outcome (copied, reused, ...), in pages, most first.
WITH wrote AS (
    SELECT r.run_id, r.scenario, r.backend, s.step, s.actor,
           CASE :outcome WHEN 'copied' THEN g.copied WHEN 'reused' THEN g.reused
                         WHEN 'no_fault' THEN g.no_fault ELSE g.first_touch END AS pages
    FROM run AS r JOIN step AS s USING (run) JOIN region AS g USING (run, step)
    WHERE r.run_id IN (SELECT value FROM json_each(:runs)) AND s.actor = g.observed
)
SELECT scenario, backend, actor, sum(pages) AS pages,
       CASE WHEN count(*) = 1 THEN printf('step %d', min(step))
            ELSE printf('in %d steps', count(*)) END AS steps
FROM wrote
WHERE pages > 0
GROUP BY run_id, actor
ORDER BY sum(pages) DESC, scenario, backend, run_id, actor;
