-- Totals of each step for the counters of a trace. Columns from the third on are counters.
SELECT s.step, s.t_ns, t.sum_rss_kb, t.sum_pss_kb, t.sum_uss_kb, t.distinct_kb, t.system_kb,
       t.in_transit_kb, t.object_only_kb, t.pagetable_kb, s.mem_available_kb, w.growth_kb,
       w.copied_kb, w.cgroup_kb
FROM run r
     JOIN step s USING (run)
     JOIN step_totals t USING (run, step)
     LEFT JOIN watch_sample w USING (run, step)
WHERE r.run_id = :run_id
ORDER BY s.step;
