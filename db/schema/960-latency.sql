-- Times of single touches, and snapshots.

-- The buckets of every histogram, with how many touches took no longer. A bucket is at most 1/32 wide.
--   run: the run's key, for joins with tables
--   actor: who touched
--   part: `step`: all of the step; of a snapshot `before` it, and `during`: from its taking until it
--     was read
--   since: counted from the beginning of the `touch`, or from when it was `due`: what waited for a
--     stall to end counts with its wait
--   n: touches of the histogram
--   low_ns: shortest time in the bucket
--   high_ns: longest time in the bucket
--   count: touches in it
--   upto: touches in it and in those before
--   value_ns: its middle, or the longest time of all if that is less: what percentiles are told by
CREATE VIEW latency_buckets AS
SELECT r.run_id, r.scenario, r.backend, b.step, s.phase, b.run, l.actor, b.part, b.since, l.n, b.low_ns,
       b.high_ns, b.count, b.upto, min((b.low_ns + b.high_ns) / 2, l.max_ns) AS value_ns
FROM (SELECT *, sum(count) OVER (PARTITION BY run, step, part, since ORDER BY low_ns) AS upto
      FROM latency_bucket) b
     JOIN latency l USING (run, step, part, since)
     JOIN step s USING (run, step)
     JOIN run r USING (run);

-- How long the single touches of a step took: a write or read with `"latency": true`, or a snapshot's
-- writer. A percentile is told where it leaves at least one touch above: the 99th of 100 touches, the
-- 99.9th of 1,000.
--   run: the run's key, for joins with tables
--   actor: who touched
--   part: `step`, or of a snapshot `before` and `during`, as in `latency_buckets`
--   since: `touch` or `due`, as in `latency_buckets`
--   n: touches
--   p50_ns: the median
--   p99_ns: the 99th percentile
--   p999_ns: the 99.9th percentile
--   max_ns: the longest, exactly
--   gap_ns: the longest pause between the end of a touch and the beginning of the next
--   cost_ns: what timing took beside each touch: it is in the step's duration, not in these times
--   empty_ns: how long a touch of nothing seemed to take: it is in each of these times
CREATE VIEW latencies AS
-- Each percentile by itself: a query for a few runs reads only theirs.
SELECT r.run_id, r.scenario, r.backend, l.step, s.phase, l.run, l.actor, l.part, l.since, l.n,
       (SELECT value FROM (SELECT min((low_ns + high_ns) / 2, l.max_ns) AS value,
                                  sum(count) OVER (ORDER BY low_ns) AS upto
                           FROM latency_bucket
                           WHERE run = l.run AND step = l.step AND part = l.part AND since = l.since)
        WHERE upto * 2 >= l.n ORDER BY upto LIMIT 1) AS p50_ns,
       (SELECT value FROM (SELECT min((low_ns + high_ns) / 2, l.max_ns) AS value,
                                  sum(count) OVER (ORDER BY low_ns) AS upto
                           FROM latency_bucket
                           WHERE run = l.run AND step = l.step AND part = l.part AND since = l.since)
        WHERE upto * 100 >= l.n * 99 AND l.n >= 100 ORDER BY upto LIMIT 1) AS p99_ns,
       (SELECT value FROM (SELECT min((low_ns + high_ns) / 2, l.max_ns) AS value,
                                  sum(count) OVER (ORDER BY low_ns) AS upto
                           FROM latency_bucket
                           WHERE run = l.run AND step = l.step AND part = l.part AND since = l.since)
        WHERE upto * 1000 >= l.n * 999 AND l.n >= 1000 ORDER BY upto LIMIT 1) AS p999_ns,
       l.max_ns, l.gap_ns, l.cost_ns, l.empty_ns
FROM latency l
     JOIN step s USING (run, step)
     JOIN run r USING (run)
ORDER BY r.started_at, r.run_id, l.step, l.part, l.since;

-- Copies of a region as it was at one moment, made while a thread went on writing it. Times of the
-- writer's touches are counted from when each was due.
--   run: the run's key, for joins with tables
--   actor: whose region it is
--   region: which
--   case_name: case of the scenario, or NULL
--   way: how, as the scenario spells it
--   how: what the message layer did with the memory: `shared` or `copied`; NULL: another way
--   pages: of the region
--   bytes: its size
--   rate: pages a second that were to be written; 0: as many as can be
--   cpus: processors that writer and reader ran on: with 1 they wait for each other
--   still_ns: longest time around the taking in which a touch was due and not done
--   take_ns: the call, message or copy that took it
--   take_gib_ns: the same for each GiB of the region
--   readout_ns: from the beginning of the taking until all of the copy was read
--   consistent: 1: what was read is one moment
--   torn_pages: pages that show another moment than the others
--   copied_pages: pages copied because of it, until it was read
--   before_kb: memory of the run before it, with what measuring takes
--   peak_kb: the most it had until it was read
--   added_kb: the difference
--   touches: of the writer, before and during
--   p50_before_ns: the writer's median touch before it
--   p99_before_ns: the 99th percentile
--   p999_before_ns: the 99.9th percentile
--   max_before_ns: the longest
--   p50_during_ns: the median touch from the taking until it was read
--   p99_during_ns: the 99th percentile
--   p999_during_ns: the 99.9th percentile
--   max_during_ns: the longest
--   inferred: which values were concluded, not measured
CREATE VIEW snapshots AS
SELECT r.run_id, r.scenario, r.backend, n.step, s.phase, n.run, n.actor, n.region, n.case_name, n.way,
       n.how, n.pages, n.pages * r.page_size AS bytes, n.rate, n.cpus, n.still_ns, n.take_ns,
       CAST(n.take_ns * 1073741824.0 / (n.pages * r.page_size) AS INTEGER) AS take_gib_ns,
       n.readout_ns, n.torn_pages = 0 AS consistent, n.torn_pages, n.copied_pages, n.before_kb,
       n.peak_kb, n.peak_kb - n.before_kb AS added_kb, b.n + d.n AS touches, b.p50_ns AS p50_before_ns,
       b.p99_ns AS p99_before_ns, b.p999_ns AS p999_before_ns, b.max_ns AS max_before_ns,
       d.p50_ns AS p50_during_ns, d.p99_ns AS p99_during_ns, d.p999_ns AS p999_during_ns,
       d.max_ns AS max_during_ns, n.inferred
FROM snapshot n
     JOIN step s USING (run, step)
     JOIN run r USING (run)
     JOIN latencies b ON b.run = n.run AND b.step = n.step AND b.part = 'before' AND b.since = 'due'
     JOIN latencies d ON d.run = n.run AND d.step = n.step AND d.part = 'during' AND d.since = 'due'
ORDER BY r.started_at, r.run_id, n.step;
