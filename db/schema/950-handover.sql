-- Memory that changed hands by hand_over and take: a row for each, with what it cost from then on.

-- Times begin with the hand_over; looks between the steps are not in them.
--   run: the run's key, for joins with tables
--   way: how, as the scenario spells it
--   sender: who handed over
--   receiver: who took it
--   region: the region that was handed over, at the sender
--   bytes: its size
--   buffer: `fresh`: the receiver took it into new memory; `used`: into a region in use; NULL: it
--     was not taken
--   given_step: step of the hand_over
--   taken_step: step of the take; NULL: the run ended before
--   given_acted: who did in the hand_over what the way takes; NULL: nobody, it was only announced
--   taken_acted: the same of the take: `sender`, `receiver` or `both`
--   received_ns: until the receiver had all of it
--   read_ns: until it had read it, too: with its first read of the region after that
--   written_ns: until it had written it, too: with its first write
--   sender_cpu_ns: CPU time of the sender until the receiver had it; NULL: it did nothing, or unknown
--   receiver_cpu_ns: CPU time of the receiver until then
--   faults: page faults of both until then
--   added_kb: what the system's figure for the run grew by until then
--   peak_kb: the largest system's figure after any step of the run
--   tolerance_kb: how exact that figure is
--   huge: pages of the receiver's region in huge pages when it had read it
--   shows: `yes`: a later write of the sender showed at the receiver; `no`: it did not; NULL: the
--     run does not tell
--   survives: `yes`: with the sender gone the receiver read what it had; `no`; NULL: not tried
CREATE VIEW handovers AS
WITH given AS (
    SELECT g.*, (SELECT min(t.step) FROM handover t
                 WHERE t.run = g.run AND t.step > g.step AND t.part = 'taken'
                   AND NOT EXISTS (SELECT 1 FROM handover n
                                   WHERE n.run = g.run AND n.part = 'given'
                                     AND n.step > g.step AND n.step < t.step)) AS taken_step
    FROM handover g WHERE g.part = 'given'),
both AS (
    SELECT g.*, t.region AS at, t.case_name AS at_case, t.used AS into_used, t.acted AS taken_acted,
           t.receiver || '.' || t.region || ifnull('#' || t.case_name, '') AS place,
           (SELECT min(step) FROM step s WHERE s.run = g.run AND s.step > t.step
               AND s.actor = t.receiver AND s.action = 'read'
               AND s.region = t.region AND s.case_name IS t.case_name) AS read_step,
           (SELECT min(step) FROM step s WHERE s.run = g.run AND s.step > t.step
               AND s.actor = t.receiver AND s.action = 'write'
               AND s.region = t.region AND s.case_name IS t.case_name) AS write_step,
           (SELECT min(step) FROM step s WHERE s.run = g.run AND s.step > t.step
               AND s.actor = g.sender AND s.action = 'write'
               AND s.region = g.region AND s.case_name IS g.case_name) AS rewrite_step,
           (SELECT min(step) FROM step s WHERE s.run = g.run AND s.step > t.step
               AND s.actor = g.sender AND s.action = 'exit') AS exit_step
    FROM given g LEFT JOIN handover t ON t.run = g.run AND t.step = g.taken_step),
timed AS (
    SELECT b.*,
           (SELECT sum(dur_ns) FROM step s
            WHERE s.run = b.run AND s.step IN (b.step, b.taken_step)) AS until,
           (SELECT measured FROM expectation x
            WHERE x.run = b.run AND x.key = 'stamp' AND x.observed = b.place
              AND x.step > b.taken_step AND x.step < b.rewrite_step
            ORDER BY x.step DESC LIMIT 1) AS stamp_before,
           (SELECT measured FROM expectation x
            WHERE x.run = b.run AND x.key = 'stamp' AND x.observed = b.place
              AND x.step > b.rewrite_step AND x.step < ifnull(b.write_step, x.step + 1)
            ORDER BY x.step LIMIT 1) AS stamp_after
    FROM both b)
SELECT b.run, r.run_id, r.scenario, r.backend, b.way, b.sender, b.receiver, b.region, b.case_name,
       b.bytes, CASE b.into_used WHEN 1 THEN 'used' WHEN 0 THEN 'fresh' END AS buffer,
       b.step AS given_step, b.taken_step, b.acted AS given_acted, b.taken_acted,
       CASE WHEN b.taken_step IS NOT NULL THEN b.until END AS received_ns,
       b.until + (SELECT dur_ns FROM step s WHERE s.run = b.run AND s.step = b.read_step)
           AS read_ns,
       b.until + (SELECT dur_ns FROM step s WHERE s.run = b.run AND s.step = b.write_step)
           AS written_ns,
       CASE WHEN b.taken_step IS NOT NULL THEN
           (SELECT CASE WHEN count(cpu_ns) = count(*) THEN sum(cpu_ns) END FROM process p
            WHERE p.run = b.run AND p.step IN (b.step, b.taken_step) AND p.actor = b.sender
              AND p.acting) END AS sender_cpu_ns,
       (SELECT cpu_ns FROM process p WHERE p.run = b.run
           AND p.step = b.taken_step AND p.actor = b.receiver AND p.acting) AS receiver_cpu_ns,
       CASE WHEN b.taken_step IS NOT NULL THEN
           (SELECT CASE WHEN count(minflt) = count(*) AND count(majflt) = count(*)
                        THEN sum(minflt + majflt) END FROM process p
            WHERE p.run = b.run AND p.step IN (b.step, b.taken_step) AND p.acting) END AS faults,
       (SELECT a.system_kb - z.system_kb FROM step a, step z
        WHERE a.run = b.run AND a.step = b.taken_step AND z.run = b.run AND z.step = b.step - 1)
           AS added_kb,
       (SELECT CASE WHEN count(system_kb) = count(*) THEN max(system_kb) END FROM step s
        WHERE s.run = b.run) AS peak_kb,
       (SELECT system_tolerance_kb FROM step s
        WHERE s.run = b.run AND s.step = b.taken_step) AS tolerance_kb,
       (SELECT huge FROM region g WHERE g.run = b.run AND g.step = ifnull(b.read_step, b.taken_step)
           AND g.observed = b.receiver AND g.region = b.at AND g.case_name IS b.at_case) AS huge,
       iif(b.stamp_before = b.stamp_after, 'no', iif(b.stamp_before <> b.stamp_after, 'yes', NULL))
           AS shows,
       (SELECT iif(result = 'held', 'yes', 'no') FROM expectation x
        WHERE x.run = b.run AND x.key = 'stamp' AND x.observed = b.place AND x.step > b.exit_step
        ORDER BY x.step LIMIT 1) AS survives
FROM timed b JOIN run r ON r.run = b.run
ORDER BY r.started_at, r.run_id, b.step;
