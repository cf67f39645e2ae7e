-- What the samples themselves took, of the time that was watched.
SELECT count(*) AS samples, sum(dur_ns) AS total_ns, sum(dur_ns) / count(*) AS each_ns,
       max(dur_ns) AS most_ns, max(t_ns) - min(t_ns) AS watched_ns,
       round(100.0 * (sum(dur_ns) - max(iif(step = last, dur_ns, 0)))
             / nullif(max(t_ns) - min(t_ns), 0), 1) AS percent,
       sum(regions_waiting > 0) AS behind, max(inferred) AS inferred
FROM (SELECT *, max(step) OVER () AS last FROM watch_samples WHERE run_id = :run_id)
HAVING count(*) > 0;
