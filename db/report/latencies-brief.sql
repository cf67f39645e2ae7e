-- How long single touches took in writes and reads of these runs.
SELECT scenario, backend, step, phase, actor, n, p50_ns, p99_ns, p999_ns, max_ns, gap_ns, empty_ns, run_id
FROM json_each(:runs)
     JOIN latencies ON run_id = value
WHERE part = 'step'
ORDER BY scenario, backend, step, run_id;
