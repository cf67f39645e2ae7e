-- New memory if every page at risk is written, against what is free: at the sample where most of what
-- is free would go, and at the last. untold: of how many samples it is not known, and why.
WITH s AS MATERIALIZED (
    SELECT *, min(mem_available_kb, coalesce(cgroup_limit_kb - cgroup_kb, mem_available_kb)) AS room_kb
    FROM watch_samples
    WHERE run_id = :run_id
),
ranked AS (
    SELECT *, count(*) OVER () AS samples, sum(growth_kb IS NULL) OVER () AS untold,
           row_number() OVER (ORDER BY 1.0 * growth_kb / nullif(room_kb, 0) DESC, step) AS worst,
           row_number() OVER (ORDER BY step DESC) AS last
    FROM s
)
SELECT step, t_s || ' s' AS after, growth_kb, mem_available_kb, cgroup_limit_kb, cgroup_kb, room_kb,
       'growth_kb,mem_available_kb,room_kb' AS unknown_keys, t_s, worst, samples, untold,
       (SELECT group_concat(reason, '; ')
        FROM (SELECT DISTINCT x.reason
              FROM run r JOIN unknown u USING (run) JOIN reason x ON x.code = u.why
              WHERE r.run_id = :run_id AND u.observed IS NULL AND u.quantity = 'growth_kb')) AS why
FROM ranked
WHERE worst = 1 OR last = 1
ORDER BY step;
