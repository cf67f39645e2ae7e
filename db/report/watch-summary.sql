-- A watch in figures: how much memory was used first, once it came to within 1 % of the most, and at last;
-- who copied; what could be needed besides at that sample, and what was free then. Used are distinct frames; where not
-- every sample could tell them, or explicit huge pages are in them and in nothing else, the sum of PSS.
WITH s AS MATERIALIZED (
    SELECT *, iif(by_pss, sum_pss_kb, distinct_kb) AS used_kb,
           cgroup_limit_kb - cgroup_kb AS below_limit_kb
    FROM (SELECT *, sum(distinct_kb IS NULL) OVER () > 0
                    OR EXISTS (SELECT 1 FROM run r JOIN watch_region w USING (run)
                                    JOIN region g USING (run, step, nr)
                               WHERE r.run_id = :run_id AND w.kind = 'huge pages' AND g.mapped > 0) AS by_pss
          FROM watch_samples WHERE run_id = :run_id)
),
peak AS (
    SELECT *, min(mem_available_kb, ifnull(below_limit_kb, mem_available_kb)) AS room_kb,
           below_limit_kb < mem_available_kb AS in_cgroup
    FROM s WHERE used_kb >= 0.99 * (SELECT max(used_kb) FROM s) ORDER BY step LIMIT 1
),
copier AS MATERIALIZED (
    SELECT w.name || '[' || w.pid || ']' AS who, c.copied_kb, u.copied_why, w.first_step, w.pid
    FROM run r
         JOIN watch_process w USING (run)
         LEFT JOIN (SELECT p.actor, sum(p.copied_kb) AS copied_kb FROM run r JOIN process p USING (run)
                    WHERE r.run_id = :run_id GROUP BY p.actor) c ON c.actor = w.actor
         LEFT JOIN watch_uncounted u ON u.run = w.run AND u.actor = w.actor
    WHERE r.run_id = :run_id
)
SELECT *, copied_kb IS NULL AND copied_why IS growth_why AS same_why FROM (
SELECT count(*) AS samples, max(t_s) AS seconds, max(processes) AS most_processes,
       sum(distinct_kb IS NOT NULL) AS with_frames, max(inferred) AS inferred,
       max(cgroup_max) - min(cgroup_max) AS ran_into_limit,
       max(cgroup_oom_kill) - min(cgroup_oom_kill) AS killed, max(by_pss) AS by_pss,
       (SELECT used_kb FROM s WHERE used_kb NOT NULL ORDER BY step LIMIT 1) AS first_kb,
       (SELECT used_kb FROM peak) AS high_kb, (SELECT t_s FROM peak) AS high_s,
       (SELECT used_kb FROM s WHERE processes > 0 AND used_kb NOT NULL ORDER BY step DESC LIMIT 1)
           AS last_kb,
       (SELECT processes = 0 OR used_kb < 0.99 * (SELECT used_kb FROM peak)
        FROM s ORDER BY step DESC LIMIT 1) AS over,
       (SELECT growth_kb FROM peak) AS growth_kb, (SELECT room_kb FROM peak) AS room_kb,
       (SELECT in_cgroup FROM peak) AS in_cgroup,
       (SELECT group_concat(DISTINCT x.reason)
        FROM run r JOIN unknown u USING (run) JOIN reason x ON x.code = u.why
        WHERE r.run_id = :run_id AND u.observed IS NULL AND u.quantity = 'growth_kb') AS growth_why,
       (SELECT sum(copied_kb) FROM copier) AS copied_kb,
       (SELECT count(copied_why) > 0 FROM copier) AS copied_part,
       ifnull((SELECT max(copied_why) FROM copier), 'no process was seen twice') AS copied_why,
       (SELECT sum(copied_kb > 0) FROM copier) AS n,
       (SELECT who FROM copier ORDER BY copied_kb DESC, first_step, pid LIMIT 1) AS who,
       (SELECT max(copied_kb) FROM copier) AS writer_kb
FROM s
HAVING count(*) > 0);
