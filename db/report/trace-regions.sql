-- Page states of the observed regions of a scenario for the counters of a trace. The mappings of a
-- watch are too many for tracks of their own.
SELECT s.step, s.t_ns, g.observed, g.region, g.case_name, g.exclusive, g.cow, g.debt, g.object,
       g.shared, g.zero, g.swapped, g.none
FROM run r
     JOIN step s USING (run)
     JOIN region g USING (run, step)
WHERE r.run_id = :run_id AND r.scenario <> 'watch'
ORDER BY s.step, g.nr;
