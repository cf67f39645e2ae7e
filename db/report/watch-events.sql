-- What happened between samples: the first 60 events. A fork is in the row of the process it made.
SELECT e.step, round((s.t_ns - z.t_ns) / 1e9, 3) || ' s' AS after, e.actor, e.kind,
       CASE e.kind WHEN 'fork' THEN e.value END AS fork_ns,
       CASE e.kind WHEN 'came' THEN ifnull(e.text, w.command) WHEN 'cgroup' THEN e.text || ' ' || e.value
            ELSE e.text END AS text,
       max(0, count(*) OVER () - 60) AS more
FROM run r
     JOIN watch_event e USING (run)
     JOIN step s USING (run, step)
     JOIN step z ON z.run = r.run AND z.step = 1
     LEFT JOIN watch_process w ON w.run = e.run AND w.actor = e.actor
WHERE r.run_id = :run_id
ORDER BY e.step, e.nr
LIMIT 60;
