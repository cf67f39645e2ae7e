-- Views of `cowlab watch`, beside watch_processes and watch_events. t_s: seconds since the first
-- sample. A sample is not atomic: its processes were read one after the other while all of them
-- ran on.

CREATE VIEW watch_samples AS
SELECT r.run_id, s.step, round((s.t_ns - z.t_ns) / 1e9, 3) AS t_s, s.processes, s.sum_rss_kb,
       s.sum_pss_kb, s.sum_uss_kb, s.distinct_kb, s.sum_pagetable_kb AS pagetable_kb, w.growth_kb,
       w.copied_kb, round(w.copied_kb * 1e9 / nullif(s.t_ns - b.t_ns, 0), 1) AS copied_kb_per_s,
       w.anon_huge_kb, s.mem_available_kb, s.system_kb, s.cgroup_limit_kb, w.cgroup_kb,
       w.cgroup_high, w.cgroup_max, w.cgroup_oom, w.cgroup_oom_kill, w.thp, w.dur_ns, w.inferred,
       w.regions_waiting, s.t_ns
FROM watch_sample w
     JOIN step s USING (run, step)
     JOIN run r USING (run)
     JOIN step z ON z.run = s.run AND z.step = 1
     LEFT JOIN step b ON b.run = s.run AND b.step = s.step - 1
ORDER BY r.started_at, r.run_id, s.step;

-- By run key, for the views below: why what a process lost or copied was not counted at every
-- sample, so that a sum is at least what was. Once the parent is gone nothing is left to compare with.
CREATE VIEW watch_uncounted AS
SELECT run, actor, group_concat(reason, '; ') FILTER (WHERE quantity = 'lost_kb') AS lost_why,
       group_concat(reason, '; ') FILTER (WHERE quantity = 'copied_kb') AS copied_why
FROM (SELECT DISTINCT u.run, u.observed AS actor, u.quantity,
             iif(u.quantity = 'lost_kb' AND x.reason = 'the process was gone',
                 'the parent ended first', x.reason) AS reason
      FROM unknown u JOIN reason x ON x.code = u.why
      WHERE u.quantity IN ('lost_kb', 'copied_kb') AND u.region IS NULL AND u.observed NOT NULL)
GROUP BY run, actor;

-- By run key, for the views and queries that need it: what each process lost of the memory that it
-- had in common with its parent, and whether either has executed a program since the fork, which
-- ends that. lost_why: why losses were not counted, or not all. Without frames what is in common is
-- an upper bound, which others that map the same keep up and an unmap takes down: its difference
-- tells nothing. Only where frames told it, in a database of before that counts no losses, and two samples
-- before an exec saw it: what it had no more at the last of them of the most it had.
CREATE VIEW watch_kin AS
WITH life AS (
    SELECT w.run, w.actor, w.first_step, w.own_program,
           ifnull(w.last_step, (SELECT max(s.step) FROM step s WHERE s.run = w.run)) AS last_step,
           (SELECT min(e.step) FROM watch_event e
            WHERE e.run = w.run AND e.kind = 'exec'
              AND (e.actor = w.actor OR (e.actor = w.parent AND e.step > w.first_step)))
               AS exec_step
    FROM watch_process w
),
told AS (
    SELECT p.run, p.actor, sum(p.lost_kb) AS lost_kb, max(p.shared_parent_kb) AS most_kb,
           max(instr(ifnull(p.inferred, ''), 'shared_parent_kb')) > 0 AS inferred
    FROM process p
    GROUP BY p.run, p.actor
)
SELECT l.run, l.actor, iif(l.exec_step IS NULL, l.own_program, 1) AS own_program, l.exec_step,
       CASE WHEN t.lost_kb IS NOT NULL THEN t.lost_kb
            WHEN u.lost_why IS NULL AND NOT t.inferred AND l.own_program IS NOT 1
                 AND min(l.last_step, ifnull(l.exec_step - 1, l.last_step)) > l.first_step
            THEN t.most_kb - (SELECT x.shared_parent_kb FROM process x
                              WHERE x.run = l.run AND x.actor = l.actor
                                AND x.step < ifnull(l.exec_step, x.step + 1)
                              ORDER BY x.step DESC LIMIT 1) END AS lost_kb,
       t.lost_kb IS NOT NULL AS counted,
       coalesce(u.lost_why, iif(t.lost_kb IS NULL AND t.inferred,
                                'what is in common was concluded from counters', NULL)) AS lost_why,
       u.copied_why
FROM life l
     LEFT JOIN told t USING (run, actor)
     LEFT JOIN watch_uncounted u USING (run, actor);

-- Each process once, with what it cost over its time. copied_kb: what copy-on-write was seen to
-- cost it; lost_kb: of the memory that it had in common with its parent, what writes of either
-- ended (watch_kin). Each is at least so much where there is a reason why not all was counted. The
-- figures of what is in common are at most so much without frames.
CREATE VIEW watch_costs AS
SELECT r.run_id, t.actor, t.pid, t.parent, t.command, t.first_step, t.last_step,
       (SELECT e.value FROM watch_event e
        WHERE e.run = t.run AND e.actor = t.actor AND e.kind = 'fork') AS fork_ns,
       a.max_rss_kb, a.max_uss_kb, a.max_parent_kb, l.shared_parent_kb AS last_parent_kb,
       k.lost_kb, a.copied_kb,
       a.max_debt_kb,
       l.at_risk_kb AS last_at_risk_kb, l.rss_kb AS last_rss_kb, l.pss_kb AS last_pss_kb,
       l.uss_kb AS last_uss_kb, l.pagetable_kb AS last_pagetable_kb, a.lost_before_kb,
       k.own_program, k.lost_why, k.copied_why, k.exec_step, l.debt_kb AS last_debt_kb
FROM watch_process t
     JOIN run r USING (run)
     JOIN watch_kin k USING (run, actor)
     LEFT JOIN (SELECT p.run, p.actor, max(p.step) AS step, max(p.rss_kb) AS max_rss_kb,
                       max(p.uss_kb) AS max_uss_kb, max(p.shared_parent_kb) AS max_parent_kb,
                       max(p.debt_kb) AS max_debt_kb, sum(p.copied_kb) AS copied_kb,
                       max(p.lost_before_kb) AS lost_before_kb
                FROM process p GROUP BY p.run, p.actor) a
            ON a.run = t.run AND a.actor = t.actor
     LEFT JOIN process l ON l.run = a.run AND l.step = a.step AND l.actor = a.actor
ORDER BY r.started_at, r.run_id, t.first_step, t.pid;

-- A mapping as of each sample in which it was stored.
CREATE VIEW watch_regions AS
SELECT r.run_id, s.step, round((s.t_ns - z.t_ns) / 1e9, 3) AS t_s, g.observed AS actor,
       g.region, w.kind, w.part, g.share_mode, g.ref_count, g.range_start, g.range_end, g.pages,
       g.mapped, g.exclusive, g.cow, g.debt, g.object, g.shared, g.swapped, g.at_risk,
       w.parent_pages, w.copied, w.gone, w.bins, g.protection, g.nr, r.page_size, w.lost,
       u.lost_why, u.copied_why
FROM watch_region w
     JOIN region g USING (run, step, nr)
     LEFT JOIN watch_uncounted u ON u.run = g.run AND u.actor = g.observed
     JOIN step s USING (run, step)
     JOIN run r USING (run)
     JOIN step z ON z.run = s.run AND z.step = 1
ORDER BY r.started_at, r.run_id, s.step, g.nr;

-- Where a process lost memory that it had in common with its parent: per mapping the most it had,
-- what its last row says, and what was lost to writes (as in watch_kin).
CREATE VIEW watch_lost AS
SELECT r.run_id, m.actor, m.part, m.kind, m.region, m.range_start, m.range_end,
       m.most * r.page_size / 1024 AS most_kb, m.last * r.page_size / 1024 AS last_kb,
       CASE WHEN m.lost IS NOT NULL THEN m.lost
            WHEN k.counted THEN 0
            WHEN k.lost_kb IS NOT NULL AND k.exec_step IS NULL THEN m.most - m.had
       END * r.page_size / 1024 AS lost_kb,
       m.bins, m.share_mode, k.lost_why
FROM (SELECT g.run, g.observed AS actor, w.part, w.kind, g.region, g.range_start, g.range_end,
             w.bins, g.share_mode,
             max(w.parent_pages) OVER (PARTITION BY g.run, g.observed, g.range_start) AS most,
             sum(w.lost) OVER (PARTITION BY g.run, g.observed, g.range_start) AS lost,
             CASE w.gone WHEN 1 THEN 0 ELSE w.parent_pages END AS last,
             first_value(w.parent_pages) OVER (PARTITION BY g.run, g.observed, g.range_start
                                               ORDER BY w.gone, g.step DESC) AS had,
             row_number() OVER (PARTITION BY g.run, g.observed, g.range_start
                                ORDER BY g.step DESC) AS age
      FROM watch_region w JOIN region g USING (run, step, nr)) m
     JOIN run r USING (run)
     LEFT JOIN watch_kin k USING (run, actor)
WHERE m.age = 1 AND m.most > 0
ORDER BY r.started_at, r.run_id, m.actor, m.range_start;
