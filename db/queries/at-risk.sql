-- How much more can each actor grow: pages whose next write costs a new frame? (latest complete runs)
.headers on
.mode column
SELECT t.scenario, t.backend, t.step, t.phase, t.observed AS actor,
       CASE count(t.at_risk) WHEN count(*) THEN sum(t.at_risk) END AS at_risk_pages,
       CASE count(t.at_risk) WHEN count(*) THEN sum(t.at_risk) * t.page_size / 1024 END
           AS at_risk_kb,
       t.rss_kb, f.mem_available_kb
FROM timeline t
     JOIN latest_runs USING (run_id)
     JOIN footprint_vs_system f ON f.run_id = t.run_id AND f.step = t.step
WHERE t.observed <> 'message'
GROUP BY t.run_id, t.step, t.observed
ORDER BY t.scenario, t.backend, t.step, actor;
