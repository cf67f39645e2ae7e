-- How much more can each actor grow: pages whose next write costs a new frame? (latest complete runs)
.headers on
.mode column
SELECT a.scenario, a.backend, a.step, a.phase, a.actor, a.at_risk_pages, a.at_risk_kb, a.rss_kb,
       a.mem_available_kb
FROM at_risk a JOIN latest_runs USING (run_id)
ORDER BY a.scenario, a.backend, a.step, a.actor;
