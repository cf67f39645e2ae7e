-- The processes of a run in the order of their coming, from when to when they were seen. A watch
-- stores a process when it moved: there the last sample that saw it counts.
SELECT p.actor, max(p.pid) AS pid, min(s.t_ns) AS from_ns, max(s.t_ns) AS to_ns, w.parent,
       w.command,
       (SELECT e.t_ns FROM step e
        WHERE e.run = w.run
          AND e.step = ifnull(w.last_step, (SELECT max(m.step) FROM step m WHERE m.run = w.run)))
           AS last_ns
FROM run r
     JOIN step s USING (run)
     JOIN process p USING (run, step)
     LEFT JOIN watch_process w ON w.run = p.run AND w.actor = p.actor
WHERE r.run_id = :run_id
GROUP BY p.run, p.actor
ORDER BY min(p.step), min(p.nr);
