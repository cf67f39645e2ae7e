-- Each process of a watch with what copy-on-write cost it over its time. Rates are over the time from
-- its first sample to its last. A figure of at_least_keys was not known at every sample; one of inferred_keys was
-- concluded: of a sum or a maximum in any row, of what was at last in the last one.
WITH sums AS (
    SELECT p.actor, sum(p.minflt) AS minflt, sum(p.majflt) AS majflt,
           max(instr(ifnull(p.inferred, ''), 'shared_parent_kb')) > 0 AS parent_at_most,
           max(instr(ifnull(p.inferred, ''), 'at_risk_kb')) > 0 AS risk_concluded,
           max(2 * p.step + (instr(ifnull(p.inferred, ''), 'at_risk_kb') > 0)) % 2 AS last_risk_concluded,
           iif(max(instr(ifnull(p.inferred, ''), 'debt_kb')), 'max_debt_kb,', '')
           || iif(max(instr(ifnull(p.inferred, ''), 'copied_kb')), 'copied_kb,copied_kb_per_s,', '')
               AS concluded
    FROM run r JOIN process p USING (run)
    WHERE r.run_id = :run_id
    GROUP BY p.actor
),
paired AS (
    SELECT h.actor_a AS actor FROM run r JOIN shared_frames h USING (run) WHERE r.run_id = :run_id
    UNION SELECT h.actor_b FROM run r JOIN shared_frames h USING (run) WHERE r.run_id = :run_id
),
untold AS (
    SELECT u.actor,
           group_concat(DISTINCT CASE u.quantity WHEN 'debt_kb' THEN 'max_debt_kb'
                                                 WHEN 'at_risk_kb' THEN 'last_at_risk_kb'
                                                 WHEN 'copied_kb' THEN 'copied_kb,copied_kb_per_s'
                                                 ELSE u.quantity END) AS keys,
           group_concat(u.reason, '; ') FILTER (WHERE u.quantity = 'debt_kb') AS debt_why
    FROM (SELECT DISTINCT u.observed AS actor, u.quantity, x.reason
          FROM run r JOIN unknown u USING (run) JOIN reason x ON x.code = u.why
          WHERE r.run_id = :run_id AND u.region IS NULL) u
    GROUP BY u.actor
)
-- What was in the last row is no sum.
SELECT *, iif(lost_why IS NULL, '', 'lost_kb,') || ifnull(keys, '') AS unknown_keys,
       iif(lost_why IS NULL, '', 'lost_kb,') || replace(ifnull(keys, ''), 'last_at_risk_kb', '')
           AS at_least_keys FROM (
SELECT c.actor, c.pid, w.name, c.parent, c.command, m.command AS parent_command,
       -- With the name that it gave itself since, which is not its actor's and not in the command.
       substr(iif(instr(c.actor, w.name || '[') = 1 OR instr(c.command, w.name) = 1, c.command,
                  w.name || ifnull(' (' || c.command || ')', '')), 1, 60) AS called, c.first_step, c.last_step,
       count(c.parent) OVER (PARTITION BY c.parent ORDER BY c.first_step, c.pid, c.actor) AS nr,
       count(c.parent) OVER (PARTITION BY c.parent) AS siblings,
       c.fork_ns, c.max_rss_kb, c.last_rss_kb, c.last_pss_kb, c.last_uss_kb, c.max_parent_kb,
       c.last_parent_kb, a.parent_at_most, a.risk_concluded, c.lost_kb, c.lost_before_kb, c.own_program, c.exec_step,
       w.own_program AS own_before,
       -- Why nothing, or not all, is known of a child's loss, before any exec. Of who has no parent
       -- here it is known only if said so.
       CASE WHEN c.lost_kb IS NOT NULL THEN c.lost_why WHEN c.own_program IS NOT 1 OR c.exec_step THEN
           coalesce(c.lost_why,
                    CASE WHEN c.parent IS NULL THEN NULL
                         WHEN a.actor IS NULL THEN 'it was never seen with memory of its own'
                         WHEN coalesce(c.exec_step - 1, c.last_step, r.steps) <= c.first_step
                             THEN 'seen in one sample only'
                         WHEN m.last_step <= c.first_step THEN 'the parent ended first'
                         ELSE 'no two samples in a row saw both it and the parent' END) END AS lost_why,
       c.copied_kb, c.copied_why,
       round(c.copied_kb * 1e9 / nullif(t.t_ns - f.t_ns, 0), 1) AS copied_kb_per_s, a.minflt,
       a.majflt, c.max_debt_kb, c.last_debt_kb, c.last_at_risk_kb, c.last_pagetable_kb,
       round((f.t_ns - z.t_ns) / 1e9, 3) AS from_s, round((t.t_ns - z.t_ns) / 1e9, 3) AS to_s, u.keys, u.debt_why,
       c.actor IN (SELECT p.actor FROM paired p) AS paired,
       a.concluded || iif(a.last_risk_concluded, 'last_at_risk_kb', '') AS inferred_keys
FROM (SELECT *, (SELECT max(s.step) FROM step s WHERE s.run = run.run) AS steps FROM run) r
     JOIN watch_costs c USING (run_id)
     JOIN watch_process w ON w.run = r.run AND w.actor = c.actor
     LEFT JOIN watch_process m ON m.run = r.run AND m.actor = c.parent
     JOIN step z ON z.run = r.run AND z.step = 1
     LEFT JOIN step f ON f.run = r.run AND f.step = c.first_step
     LEFT JOIN step t ON t.run = r.run AND t.step = ifnull(c.last_step, r.steps)
     LEFT JOIN sums a ON a.actor = c.actor
     LEFT JOIN untold u ON u.actor = c.actor
WHERE r.run_id = :run_id)
ORDER BY first_step, pid, actor;
