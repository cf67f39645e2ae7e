-- What did probing cost? (latest complete runs)
.headers on
.mode column
SELECT c.scenario, c.backend, c.probe, count(*) AS steps, sum(c.calls) AS calls,
       sum(c.bytes) / 1024 AS read_kb, round(sum(c.dur_ns) / 1e6, 3) AS total_ms,
       round(sum(c.dur_ns) / 1e3 / count(*), 1) AS us_per_step,
       round(100.0 * sum(c.dur_ns) / 1e6
             / (SELECT duration_ms FROM runs r WHERE r.run_id = c.run_id), 1) AS percent_of_run,
       sum(c.faults_induced) AS faults_induced
FROM probe_cost c JOIN latest_runs USING (run_id)
GROUP BY c.run_id, c.probe
ORDER BY c.scenario, c.backend, total_ms DESC, c.probe;
