-- One row about a watch: how long, how many, what a sample took, what was concluded.
SELECT count(*) AS samples, max(t_s) AS t_s, avg(dur_ns) AS mean_ns, max(dur_ns) AS max_ns,
       sum(dur_ns) / 1e9 / nullif(max(t_s), 0) AS share, max(inferred) AS inferred,
       max(cgroup_max) - min(cgroup_max) AS at_limit,
       max(cgroup_oom_kill) - min(cgroup_oom_kill) AS killed, max(thp) AS thp,
       (SELECT count(*) FROM watch_processes p WHERE p.run_id = :run_id) AS processes,
       (SELECT count(*) FROM watch_processes p
        WHERE p.run_id = :run_id AND p.last_step IS NOT NULL) AS gone
FROM watch_samples
WHERE run_id = :run_id;
