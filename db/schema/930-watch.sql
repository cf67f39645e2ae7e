-- Views of `cowlab watch`, beside watch_processes and watch_events. t_s: seconds since the first
-- sample. A sample is not atomic: its processes were read one after the other while all of them
-- ran on.

-- One row per sample of a watch: sums over all processes, the machine, and what looking cost. A
-- sample is not atomic: its processes are read one after the other while all of them run on.
--   step: the sample
--   t_s: seconds since the first sample
--   processes: how many were seen
--   sum_rss_kb: sum of their RSS
--   sum_pss_kb: of their PSS
--   sum_uss_kb: of their USS
--   distinct_kb: each page frame counted once; NULL where frames are not visible
--   pagetable_kb: page tables of all of them
--   growth_kb: new memory if every page at risk is written; a frame that only these processes map
--     costs one less than they are
--   copied_kb: got a new frame since the sample before, all processes that are there; NULL also
--     where there are none; what happened and was undone between two samples is not seen
--   copied_kb_per_s: the same per second
--   anon_huge_kb: in transparent huge pages
--   mem_available_kb: of the machine
--   system_kb: usage of a memory cgroup that holds the watched processes and no others
--   cgroup_limit_kb: limit of the first process's memory cgroup
--   cgroup_kb: its usage, which may hold other processes too
--   cgroup_high: how often it was throttled at its high mark
--   cgroup_max: how often it ran into its limit
--   cgroup_oom: how often it was out of memory
--   cgroup_oom_kill: how many of its processes were killed for that
--   thp: transparent huge pages: always, madvise, never
--   dur_ns: what the sample took
--   inferred: 1: exclusive and debt pages are concluded from the sample before; one page in each 64
--     was asked
--   regions_waiting: changed mappings whose rows were left for a later sample
--   t_ns: when the sample began
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

-- Why what a watched process lost or copied was not counted at every sample, by run key: for the
-- views below. A value that does not apply (at the first sample of a process, at an exec) is no
-- reason.
--   run: key of the run
--   actor: the process
--   lost_why: reasons why losses were not, separated by `; `; NULL: they were
--   copied_why: the same of copies
CREATE VIEW watch_uncounted AS
-- Once the parent is gone nothing is left to compare with.
SELECT run, actor, group_concat(reason, '; ') FILTER (WHERE quantity = 'lost_kb') AS lost_why,
       group_concat(reason, '; ') FILTER (WHERE quantity = 'copied_kb') AS copied_why
FROM (SELECT DISTINCT u.run, u.observed AS actor, u.quantity,
             iif(u.quantity = 'lost_kb' AND x.reason = 'the process was gone',
                 'the parent ended first', x.reason) AS reason
      FROM unknown u JOIN reason x ON x.code = u.why
      WHERE u.quantity IN ('lost_kb', 'copied_kb') AND u.region IS NULL AND u.observed NOT NULL)
GROUP BY run, actor;

-- What each watched process lost of the memory that it had in common with its parent, by run key:
-- for the views and queries that need it.
--   run: key of the run
--   actor: the process
--   own_program: as in `watch_costs`
--   exec_step: sample that first saw it, or its parent, execute a program while it was watched;
--     NULL: none did
--   lost_kb: as in `watch_costs`; NULL where fewer than two samples saw it, or its parent
--   counted: 1: `lost_kb` is what was counted; 0: the difference, or NULL
--   lost_why: as in `watch_costs`
--   copied_why: as in `watch_costs`
CREATE VIEW watch_kin AS
-- Without frames what is in common is an upper bound, which others that map the same keep up and an
-- unmap takes down: its difference tells nothing. Only where frames told it, in a database of before
-- that counts no losses, and two samples before an exec saw it: what it had no more at the last of
-- them of the most it had.
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

-- One row per process of a watch: what it cost over its time.
--   actor: `name[pid]`
--   pid: process number as seen from the watcher
--   parent: actor it was forked from, or NULL if that is not watched
--   command: its command line
--   first_step: first sample that saw it
--   last_step: last one; NULL: still there at the end
--   fork_ns: its fork took no longer: system time that the parent used in the interval, to a clock
--     tick; NULL: not seen
--   max_rss_kb: largest RSS
--   max_uss_kb: largest USS
--   max_parent_kb: most memory in common with its parent; without frames at most so much
--     (`inferred` in `footprint`)
--   last_parent_kb: the same at its last row
--   lost_kb: of what it had in common with its parent, lost because one of them wrote; what was
--     given back or unmapped, or went with the process, is not. NULL without frames: nothing tells
--     a write from what was given back. At least so much where `lost_why` is not NULL. In databases
--     of before that have frames and no such count: the most it had in common less what it had at
--     its last row, before any program that it executed
--   copied_kb: memory that copy-on-write was seen to copy for it; at least so much where
--     `copied_why` is not NULL
--   max_debt_kb: most pages in debt
--   last_at_risk_kb: at its last row: what its next writes would copy
--   last_rss_kb: RSS at its last row
--   last_pss_kb: PSS
--   last_uss_kb: USS
--   last_pagetable_kb: page tables
--   lost_before_kb: at most how much of what it had in common with its parent was lost before it
--     was first seen
--   own_program: 1: it, or its parent, has executed a program since the fork, before it was first
--     seen or later; from then on nothing is in common by the fork; NULL: not known
--   lost_why: why `lost_kb` is NULL, or was not counted at every sample and so is at least so much;
--     NULL: nothing is known to be missing
--   copied_why: the same of `copied_kb`
--   exec_step: sample that first saw it, or its parent, execute a program while it was watched;
--     NULL: none did
--   last_debt_kb: pages in debt at its last row
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

-- A mapping of a watched process as of each sample in which it was stored: when it was first seen,
-- and when it changed enough (lab/watch/keep.h). It is as its latest row says.
--   step: the sample
--   t_s: seconds since the first sample
--   actor: `name[pid]`
--   region: name of the mapping, or its kind
--   kind: what it is for: heap, malloc arena, stack, ...
--   part: the same in fewer words, for sums
--   share_mode: as in timeline; of private file mappings concluded
--   ref_count: anonymous memory: largest map count of a resident page; memory object: processes
--     that map it, inferred
--   range_start: address
--   range_end: address
--   pages: size
--   mapped: in the page table
--   exclusive: anonymous, this process's alone
--   cow: anonymous, mapped elsewhere too, or its slot of swap is held by another: the next write
--     copies
--   debt: mapped here alone, still write-protected
--   object: a private mapping showing its file's page
--   shared: of a shared mapping
--   swapped: in swap
--   at_risk: whose next write costs a new frame
--   parent_pages: in common with the parent at the same addresses; without frames at most so many
--   copied: pages copied since the row before
--   gone: 1: it is no longer there
--   bins: parent_pages by address: 64 equal parts, each 0 (none) to 9 (all)
--   protection: r, w, x
--   nr: order in the sample
--   page_size: bytes
--   lost: pages lost to writes since the row before
--   lost_why: why losses of the process were not counted at every sample: where it is not NULL a
--     sum of `lost` is at least so much
--   copied_why: the same of `copied`
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

-- One row per mapping that a process had in common with its parent: how much of it is left.
--   actor: `name[pid]`
--   part: what the mapping is for, for sums
--   kind: the same, finer
--   region: its name
--   range_start: address
--   range_end: address
--   most_kb: most that it had in common; without frames at most so much
--   last_kb: at its latest row
--   lost_kb: lost to writes, as in watch_costs; NULL without frames; at least so much where
--     `lost_why` is not NULL
--   bins: what is left, by address: 64 parts, each 0 (none) to 9 (all)
--   share_mode: at its latest row
--   lost_why: as in `watch_costs`, of the whole process
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
