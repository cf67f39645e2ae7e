-- The steps of a run, in order.
SELECT step, phase, actor, action, case_name, region, published, start_ns, s.dur_ns, t_ns, answer
FROM run JOIN step AS s USING (run)
WHERE run_id = :run_id
ORDER BY step;
