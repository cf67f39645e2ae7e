-- The steps of a run for a trace, in order, with what looking after each cost.
SELECT s.step, s.phase, s.actor, s.action, s.case_name, s.region, s.start_ns, s.dur_ns, s.t_ns,
       (SELECT sum(c.dur_ns) FROM cost c WHERE c.run = s.run AND c.step = s.step) AS cost_ns,
       (SELECT w.dur_ns FROM watch_sample w WHERE w.run = s.run AND w.step = s.step) AS sample_ns,
       ifnull(s.processes, (SELECT count(*) FROM process p
                            WHERE p.run = s.run AND p.step = s.step)) AS processes
FROM run r JOIN step s USING (run)
WHERE r.run_id = :run_id
ORDER BY s.step;
