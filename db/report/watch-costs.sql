-- Each process of a watch with what copy-on-write cost it over its time. Rates are over the time from
-- its first sample to its last.
WITH cost AS (
    SELECT p.actor, max(p.step) AS step, max(p.rss_kb) AS max_rss_kb,
           max(p.shared_parent_kb) AS max_parent_kb, max(p.debt_kb) AS max_debt_kb,
           sum(p.copied_kb) AS copied_kb, sum(p.lost_kb) AS lost_kb, sum(p.minflt) AS minflt, sum(p.majflt) AS majflt
    FROM run r JOIN process p USING (run)
    WHERE r.run_id = :run_id
    GROUP BY p.actor
)
SELECT w.actor, w.pid, w.name, w.parent, w.command, w.first_step, w.last_step,
       count(w.parent) OVER (PARTITION BY w.parent ORDER BY w.first_step, w.pid, w.actor) AS nr,
       count(w.parent) OVER (PARTITION BY w.parent) AS siblings,
       (SELECT e.value FROM watch_event e
        WHERE e.run = w.run AND e.actor = w.actor AND e.kind = 'fork') AS fork_ns,
       c.max_rss_kb, l.rss_kb AS last_rss_kb, l.pss_kb AS last_pss_kb, l.uss_kb AS last_uss_kb,
       c.max_parent_kb, l.shared_parent_kb AS last_parent_kb,
       coalesce(c.lost_kb, c.max_parent_kb - l.shared_parent_kb) AS lost_kb, c.copied_kb,
       round(c.copied_kb * 1e9 / nullif(t.t_ns - f.t_ns, 0), 1) AS copied_kb_per_s, c.minflt,
       c.majflt, c.max_debt_kb, l.debt_kb AS last_debt_kb, l.at_risk_kb AS last_at_risk_kb,
       l.pagetable_kb AS last_pagetable_kb, round((f.t_ns - z.t_ns) / 1e9, 3) AS from_s,
       round((t.t_ns - z.t_ns) / 1e9, 3) AS to_s
FROM run r
     JOIN watch_process w USING (run)
     JOIN step z ON z.run = w.run AND z.step = 1
     LEFT JOIN step f ON f.run = w.run AND f.step = w.first_step
     LEFT JOIN step t ON t.run = w.run
          AND t.step = ifnull(w.last_step, (SELECT max(s.step) FROM step s WHERE s.run = w.run))
     LEFT JOIN cost c ON c.actor = w.actor
     LEFT JOIN process l ON l.run = w.run AND l.step = c.step AND l.actor = w.actor
WHERE r.run_id = :run_id
ORDER BY w.first_step, w.pid, w.actor;
