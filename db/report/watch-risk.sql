-- New memory if every page at risk is written, against what is free: at the sample where most of what
-- is free would go, and at the last.
WITH s AS MATERIALIZED (
    SELECT *, min(mem_available_kb, coalesce(cgroup_limit_kb - cgroup_kb, mem_available_kb)) AS room_kb
    FROM watch_samples
    WHERE run_id = :run_id
),
ranked AS (
    SELECT *, row_number() OVER (ORDER BY 1.0 * growth_kb / nullif(room_kb, 0) DESC, step) AS worst,
           row_number() OVER (ORDER BY step DESC) AS last
    FROM s
)
SELECT step, t_s || ' s' AS after, growth_kb, mem_available_kb, cgroup_limit_kb, cgroup_kb, room_kb,
       'growth_kb,mem_available_kb,room_kb' AS unknown_keys, t_s, worst
FROM ranked
WHERE worst = 1 OR last = 1
ORDER BY step;
