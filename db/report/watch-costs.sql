-- Each process of a watch with what copy-on-write cost it over its time. Rates are over the time from
-- its first sample to its last.
WITH cost AS (
    SELECT p.actor, max(p.step) AS step, max(p.rss_kb) AS max_rss_kb,
           max(p.shared_parent_kb) AS max_parent_kb, max(p.debt_kb) AS max_debt_kb,
           sum(p.copied_kb) AS copied_kb, sum(p.lost_kb) AS lost_kb,
           max(p.lost_before_kb) AS lost_before_kb, sum(p.minflt) AS minflt, sum(p.majflt) AS majflt,
           max(instr(ifnull(p.inferred, ''), 'shared_parent_kb')) > 0 AS parent_at_most
    FROM run r JOIN process p USING (run)
    WHERE r.run_id = :run_id
    GROUP BY p.actor
),
paired AS (
    SELECT h.actor_a AS actor FROM run r JOIN shared_frames h USING (run) WHERE r.run_id = :run_id
    UNION SELECT h.actor_b FROM run r JOIN shared_frames h USING (run) WHERE r.run_id = :run_id
),
untold AS (
    SELECT u.observed AS actor,
           group_concat(DISTINCT CASE u.quantity WHEN 'debt_kb' THEN 'max_debt_kb'
                                                 WHEN 'at_risk_kb' THEN 'last_at_risk_kb'
                                                 WHEN 'copied_kb' THEN 'copied_kb,copied_kb_per_s'
                                                 ELSE u.quantity END) AS keys
    FROM run r JOIN unknown u USING (run)
    WHERE r.run_id = :run_id AND u.region IS NULL
    GROUP BY u.observed
)
SELECT *, iif(lost_why IS NULL, '', 'lost_kb,') || ifnull(keys, '') AS unknown_keys FROM (
SELECT w.actor, w.pid, w.name, w.parent, w.command, m.command AS parent_command,
       substr(w.command, 1, 60) AS called, w.first_step, w.last_step,
       count(w.parent) OVER (PARTITION BY w.parent ORDER BY w.first_step, w.pid, w.actor) AS nr,
       count(w.parent) OVER (PARTITION BY w.parent) AS siblings,
       (SELECT e.value FROM watch_event e
        WHERE e.run = w.run AND e.actor = w.actor AND e.kind = 'fork') AS fork_ns,
       c.max_rss_kb, l.rss_kb AS last_rss_kb, l.pss_kb AS last_pss_kb, l.uss_kb AS last_uss_kb,
       c.max_parent_kb, l.shared_parent_kb AS last_parent_kb, c.parent_at_most,
       k.lost_kb, c.lost_before_kb, k.own_program, k.exec_step,
       -- Why nothing is known of a child's loss, before any exec. Of who has no parent here it is known only if said so.
       CASE WHEN k.lost_kb IS NULL AND (k.own_program IS NOT 1 OR k.exec_step) THEN
           coalesce(k.lost_why,
                    CASE WHEN w.parent IS NULL THEN NULL
                         WHEN c.actor IS NULL THEN 'it was never seen with memory of its own'
                         WHEN coalesce(k.exec_step - 1, w.last_step, r.steps) <= w.first_step
                             THEN 'seen in one sample only'
                         WHEN m.last_step <= w.first_step THEN 'the parent ended first'
                         ELSE 'no two samples in a row saw both it and the parent' END) END AS lost_why,
       c.copied_kb,
       round(c.copied_kb * 1e9 / nullif(t.t_ns - f.t_ns, 0), 1) AS copied_kb_per_s, c.minflt,
       c.majflt, c.max_debt_kb, l.debt_kb AS last_debt_kb, l.at_risk_kb AS last_at_risk_kb,
       l.pagetable_kb AS last_pagetable_kb, round((f.t_ns - z.t_ns) / 1e9, 3) AS from_s,
       round((t.t_ns - z.t_ns) / 1e9, 3) AS to_s, u.keys,
       w.actor IN (SELECT p.actor FROM paired p) AS paired
FROM (SELECT *, (SELECT max(s.step) FROM step s WHERE s.run = run.run) AS steps FROM run) r
     JOIN watch_process w USING (run)
     JOIN watch_kin k USING (run, actor)
     LEFT JOIN watch_process m ON m.run = w.run AND m.actor = w.parent
     JOIN step z ON z.run = w.run AND z.step = 1
     LEFT JOIN step f ON f.run = w.run AND f.step = w.first_step
     LEFT JOIN step t ON t.run = w.run
          AND t.step = ifnull(w.last_step, (SELECT max(s.step) FROM step s WHERE s.run = w.run))
     LEFT JOIN cost c ON c.actor = w.actor
     LEFT JOIN untold u ON u.actor = w.actor
     LEFT JOIN process l ON l.run = w.run AND l.step = c.step AND l.actor = w.actor
WHERE r.run_id = :run_id)
ORDER BY first_step, pid, actor;
