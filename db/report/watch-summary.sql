-- A watch in figures: samples, time, processes; how often its memory cgroup was in need.
SELECT count(*) AS samples, max(t_s) AS seconds, max(processes) AS most_processes,
       sum(distinct_kb IS NOT NULL) AS with_frames, max(inferred) AS inferred,
       max(cgroup_max) - min(cgroup_max) AS ran_into_limit,
       max(cgroup_oom_kill) - min(cgroup_oom_kill) AS killed
FROM watch_samples
WHERE run_id = :run_id
HAVING count(*) > 0;
