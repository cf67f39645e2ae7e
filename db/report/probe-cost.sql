-- What looking cost, by backend and probe, over the runs of the report.
SELECT backend, probe, count(*) AS looks, sum(calls) AS calls, sum(bytes) / 1024 AS read_kb,
       sum(dur_ns) AS total_ns, sum(dur_ns) / count(*) AS each_ns, max(dur_ns) AS most_ns,
       iif(count(faults_induced) = count(*), sum(faults_induced), NULL) AS faults
FROM probe_cost
WHERE run_id IN (SELECT value FROM json_each(:runs))
GROUP BY backend, probe
ORDER BY backend, sum(dur_ns) DESC, probe;
