-- What looking cost, by backend and probe, over the runs of the report.
SELECT r.backend, c.probe, count(*) AS looks, sum(c.calls) AS calls, sum(c.bytes) / 1024 AS read_kb,
       sum(c.dur_ns) AS total_ns, sum(c.dur_ns) / count(*) AS each_ns, max(c.dur_ns) AS most_ns,
       iif(count(c.faults_induced) = count(*), sum(c.faults_induced), NULL) AS faults
FROM run AS r JOIN cost AS c USING (run)
WHERE r.run_id IN (SELECT value FROM json_each(:runs))
GROUP BY r.backend, c.probe
ORDER BY r.backend, sum(c.dur_ns) DESC, c.probe;
