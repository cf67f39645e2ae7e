-- Footprints for the counters of a trace. Columns from the fourth on are counters.
SELECT s.step, s.t_ns, p.actor, p.rss_kb, p.pss_kb, p.uss_kb, p.exclusive_kb, p.shared_parent_kb,
       p.debt_kb, p.at_risk_kb, p.copied_kb, p.minflt
FROM run r
     JOIN step s USING (run)
     JOIN process p USING (run, step)
WHERE r.run_id = :run_id
ORDER BY s.step, p.nr;
