-- Pages whose next write costs a new frame, over the actors, at the end of each run.
SELECT scenario, backend, step, sum(known_pages) AS pages, max(inferred) AS inferred,
       max(unknown) AS unknown, sum(known_kb) AS kb
FROM at_risk JOIN (SELECT run_id, max(step) AS step FROM steps GROUP BY run_id) USING (run_id, step)
WHERE run_id IN (SELECT value FROM json_each(:runs)) AND scenario <> 'watch'
GROUP BY run_id
HAVING sum(known_pages) > 0
ORDER BY kb DESC, scenario, backend, run_id;
