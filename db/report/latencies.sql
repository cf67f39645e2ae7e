-- How long single touches took in a run.
SELECT step, phase, actor, part, since, n, p50_ns, p99_ns, p999_ns, max_ns, gap_ns, cost_ns, empty_ns
FROM latencies
WHERE run_id = :run_id
ORDER BY step, part, since;
