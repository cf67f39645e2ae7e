-- Series: what many runs of one combination say, with their spread, and combinations beside each
-- other.

-- The rule of the intervals, which assume nothing about how values are spread: 95 % of them hold
-- the truth where z is 1.96.
--   z: how many standard deviations of a rank an interval reaches to each side
CREATE VIEW interval_rule AS SELECT 1.96 AS z;

-- One row per combination of scenario, backend and parameters in a series. Runs that warm up or
-- did not come to their end are not counted.
--   series_id: the series
--   combination: its key: the least of its runs' keys
--   scenario: name
--   params: parameters as a JSON object
--   kernel: what ran: name, release, machine
--   machine: processors and memory, as in `run_places`
--   emulated: 1: by an emulator, whose times compare with each other only
--   twin: scenario that does the same the other way (fork or out of line)
--   forks: 1: it has a fork step
--   region_bytes: most bytes of regions that one actor had at once
--   n: counted runs
CREATE VIEW combinations AS
SELECT series_id, combination, scenario, backend, params, kernel, machine, emulated, page_size,
       twin, n,
       EXISTS (SELECT 1 FROM step s WHERE s.run = combination AND s.action = 'fork') AS forks,
       (SELECT max(b) FROM (SELECT sum(pages) * page_size AS b FROM region g
                            WHERE g.run = combination AND g.observed <> 'message'
                            GROUP BY g.step, g.observed)) AS region_bytes
FROM (SELECT g.series_id, min(run) AS combination, scenario, backend, params, p.kernel, p.machine,
             emulated, page_size, max(twin) AS twin, count(*) AS n
      FROM series g JOIN run r USING (series) JOIN run_places p USING (run)
      WHERE status = 'complete' AND NOT warm_up
      GROUP BY g.series, scenario, backend, params, p.kernel, p.machine, page_size);

-- The values of each counted run of a series, a row per quantity, step by step; and two sums
-- without a step: phase `handed_over` (the steps of in_transit, transferred and received, after
-- which the receiver has the memory) and `all`. Time, faults and copied pages are summed there, of
-- memory it is what the last step left in `handed_over`, and the most in `all`.
--   series_id: the series
--   combination: key of the run's combination
--   run: the run's key, for joins with tables
--   occurrence: 1 for the first time the phase comes; steps that follow each other in one phase
--     are one
--   lane: the phase; `transferred` for the message's `received` too
--   quantity: `time_ns` (the action), `cpu_ns` and `minflt` (processor time in it, faults without
--     disk, of the acting processes),
--     `copied` (pages), `rss_kb`, `pss_kb`, `uss_kb`, `pagetable_kb` (sums over the actors),
--     `distinct_kb`, `system_kb`
--   value: NULL: unknown
CREATE VIEW series_values AS
WITH counted AS MATERIALIZED (
    SELECT series_id, run, combination
    FROM (SELECT series_id, run,
                 min(run) OVER (PARTITION BY series, scenario, backend, params, p.kernel, p.machine,
                                             page_size) AS combination
          FROM series JOIN run r USING (series) JOIN run_places p USING (run)
          WHERE status = 'complete' AND NOT warm_up)
    WHERE combination IN (SELECT combination FROM combinations)),
unclear AS MATERIALIZED (
    SELECT DISTINCT run, step, quantity FROM counted JOIN unknown USING (run)
    WHERE quantity IN ('minflt', 'cpu_ns', 'copied')),
marked AS (
    SELECT s.*, CASE phase WHEN 'received' THEN 'transferred' ELSE phase END AS lane,
           phase IS NOT lag(phase) OVER (PARTITION BY run ORDER BY step) AS starts
    FROM counted JOIN step s USING (run)),
placed AS (
    SELECT *, sum(starts) OVER (PARTITION BY run, lane ORDER BY step) AS occurrence FROM marked),
each (run, step, phase, lane, occurrence, quantity, value, flows) AS MATERIALIZED (
    SELECT run, step, phase, lane, occurrence, key, atom, 0
    FROM placed JOIN step_totals t USING (run, step), json_each(json_object(
        'rss_kb', t.sum_rss_kb, 'pss_kb', t.sum_pss_kb, 'uss_kb', t.sum_uss_kb,
        'pagetable_kb', t.pagetable_kb, 'distinct_kb', t.distinct_kb, 'system_kb', t.system_kb))
    UNION ALL
    SELECT run, step, phase, lane, occurrence, 'time_ns', dur_ns, 1 FROM placed
    UNION ALL
    SELECT run, step, phase, lane, occurrence, quantity,
           CASE WHEN (run, step, quantity) NOT IN unclear THEN value END, 1
    FROM placed
         JOIN (SELECT run, step, 'minflt' AS quantity, sum(minflt) AS value
               FROM counted JOIN process USING (run) GROUP BY run, step
               UNION ALL
               SELECT run, step, 'cpu_ns', sum(cpu_ns)
               FROM counted JOIN process USING (run) GROUP BY run, step
               UNION ALL
               SELECT run, step, 'copied', sum(copied)
               FROM counted JOIN region USING (run) GROUP BY run, step) USING (run, step)
    WHERE value IS NOT NULL OR (run, step, quantity) IN unclear),
handed (run, last) AS (
    SELECT run, max(step) FROM placed
    WHERE phase IN ('in_transit', 'transferred', 'received') GROUP BY run),
summed (run, phase, quantity, value) AS (
    SELECT run, 'all', quantity,
           CASE count(value) WHEN count(*) THEN iif(flows, sum(value), max(value)) END
    FROM each GROUP BY run, quantity
    UNION ALL
    SELECT run, 'handed_over', quantity,
           CASE WHEN count(value) < count(*) THEN NULL WHEN flows THEN sum(value)
                ELSE max(value) FILTER (WHERE step = last) END
    FROM each JOIN handed USING (run) WHERE phase IN ('in_transit', 'transferred', 'received')
    GROUP BY run, quantity)
SELECT series_id, combination, run, step, phase, lane, occurrence, quantity, value
FROM counted JOIN each USING (run)
UNION ALL
SELECT series_id, combination, run, NULL, phase, phase, 1, quantity, value
FROM counted JOIN summed USING (run);

-- Per combination of a series, step and quantity what its runs measured. Rows without a step are
-- sums, as in `series_values`.
--   series_id: the series
--   setting: those parameters that were set for the series, `pages=16 memory=ordinary`
--   kernel: what ran: name, release, machine
--   emulated: 1: by an emulator, whose times compare with each other only
--   n: runs whose value is known
--   unknown: counted runs whose value is not
--   q1: first quartile
--   median: of n values; between two neighbours in the middle between them
--   q3: third quartile
--   low: the median's 95 % interval, from the order of the values: it assumes nothing about how
--     they are spread (of 5 runs it is their whole range, 94 %); NULL with less
--   high: its other end
--   params: parameters as a JSON object
--   occurrence: 1 for the first time the phase comes
--   actor: who acted; NULL for a look without an action, and in sums
--   action: what it did, as the scenario spells it
--   quantity: as in `series_values`
--   min: smallest
--   max: largest
CREATE VIEW phase_stats AS
WITH RECURSIVE
ranked AS MATERIALIZED (
    SELECT combination, step, phase, occurrence, quantity, value, count(*) OVER (whole) AS runs,
           count(value) OVER (whole) AS n,
           row_number() OVER (PARTITION BY combination, step, phase, quantity
                              ORDER BY value IS NULL, value) AS i
    FROM series_values
    WINDOW whole AS (PARTITION BY combination, step, phase, quantity)),
-- Newton's square root: a shell may have been built without sqrt().
root (n, x, i) AS (
    SELECT DISTINCT n, n, 0 FROM ranked WHERE n > 0
    UNION ALL SELECT n, (x + 1.0 * n / x) / 2, i + 1 FROM root WHERE i < 40),
place AS (
    SELECT n, (n + 3) / 4.0 AS q1, (n + 1) / 2.0 AS middle, (3 * n + 1) / 4.0 AS q3,
           max(1, (n + 1) / 2.0 - z / 2 * x + 0.15) AS low,
           min(n, (n + 1) / 2.0 + z / 2 * x - 0.15) AS high
    FROM root, interval_rule WHERE i = 40),
found AS (
    SELECT combination, step, phase, occurrence, quantity, n, runs - n AS unknown,
           min(value) AS min, max(value) AS max,
           -- Between two neighbours in the order on the straight line.
           sum(value * max(0, 1 - abs(i - q1))) AS q1,
           sum(value * max(0, 1 - abs(i - middle))) AS median,
           sum(value * max(0, 1 - abs(i - q3))) AS q3,
           CASE WHEN n >= 5 THEN sum(value * max(0, 1 - abs(i - low))) END AS low,
           CASE WHEN n >= 5 THEN sum(value * max(0, 1 - abs(i - high))) END AS high
    FROM ranked LEFT JOIN place USING (n)
    GROUP BY combination, step, phase, occurrence, quantity)
SELECT c.series_id, c.scenario, c.backend, c.params,
       coalesce((SELECT group_concat(key || '=' || value, ' ') FROM json_each(c.params)
                 WHERE key IN (SELECT key FROM json_each(g.spec, '$.params'))), '') AS setting,
       c.kernel, c.emulated, c.page_size, f.step, f.phase, f.occurrence, s.actor, s.action,
       f.quantity, f.n, f.unknown, f.min, f.q1, f.median, f.q3, f.max, f.low, f.high
FROM found f JOIN combinations c USING (combination) JOIN series g USING (series_id)
     LEFT JOIN step s ON s.run = f.combination AND s.step = f.step;

-- Combinations of one series that differ in one thing alone: the scenario (b does the same out of
-- line), one parameter that is no number, or the backend. Never of two kernels (unless of two
-- backends), machines, page sizes or amounts of memory.
--   a: key of the combination that stands first: the fork's, or by the order of the command
--   b: of the other
--   differs: `scenario`, `backend`, or the parameter's name
--   a_value: what a has of it
--   b_value: what b has
--   timed: 1: their times may be compared: neither or both are by an emulator
--   series_id: the series
CREATE VIEW compared_pairs AS
WITH pair AS (
    SELECT a.series_id, a.combination AS a, b.combination AS b, a.backend = b.backend AS one_backend,
           a.scenario = b.scenario AS one_scenario, a.emulated = b.emulated AS timed,
           a.scenario AS a_scenario, b.scenario AS b_scenario, a.backend AS a_backend,
           b.backend AS b_backend, a.params AS a_params, b.params AS b_params
    FROM combinations a JOIN combinations b USING (series_id, page_size)
    WHERE a.combination <> b.combination AND a.region_bytes IS b.region_bytes
      AND (a.kernel IS b.kernel AND a.machine IS b.machine AND a.backend = b.backend
           OR a.backend <> b.backend)
      AND (a.scenario = b.scenario
           OR a.forks AND NOT b.forks AND (a.twin = b.scenario OR b.twin = a.scenario))),
-- Parameters that both have and that are not the same; alone, one has no value twice.
odd AS (
    SELECT p.a, p.b, count(*) AS n, max(x.key) AS key, max(x.type) AS type,
           max(x.value) AS a_value, max(y.value) AS b_value
    FROM pair p, json_each(p.a_params) x JOIN json_each(p.b_params) y USING (key)
    WHERE x.value IS NOT y.value
    GROUP BY p.a, p.b),
one AS (
    SELECT p.*, spec,
           CASE WHEN NOT one_scenario THEN 'scenario' WHEN NOT one_backend THEN 'backend'
                ELSE key END AS differs,
           CASE WHEN NOT one_scenario THEN a_scenario WHEN NOT one_backend THEN a_backend
                ELSE a_value END AS a_value,
           CASE WHEN NOT one_scenario THEN b_scenario WHEN NOT one_backend THEN b_backend
                ELSE b_value END AS b_value,
           CASE WHEN NOT one_scenario THEN NULL WHEN NOT one_backend THEN '$.backends'
                ELSE '$.params."' || key || '"' END AS place
    FROM pair p JOIN series USING (series_id) LEFT JOIN odd o USING (a, b)
    WHERE (NOT one_scenario) + (NOT one_backend) + coalesce(n, 0) = 1
      AND coalesce(type = 'text', 1))
SELECT series_id, a, b, differs, a_value, b_value, timed
FROM one
WHERE differs = 'scenario'
   OR coalesce((SELECT key FROM json_each(spec, place) WHERE value = a_value)
               < (SELECT key FROM json_each(spec, place) WHERE value = b_value),
               a_value < b_value);

-- The values of `series_values` phase by phase: of the steps of one phase that follow each other time,
-- faults and copied pages are summed, of memory it is the most.
--   combination: key of the run's combination
--   run: the run's key
--   lane: the phase; `transferred` for the message's `received` too
--   occurrence: 1 for the first time the phase comes
--   quantity: as in `series_values`
--   value: NULL: unknown
CREATE VIEW series_phases AS
SELECT combination, run, lane, occurrence, quantity,
       CASE WHEN count(value) < count(*) THEN NULL
            WHEN quantity IN ('time_ns', 'cpu_ns', 'minflt', 'copied') THEN sum(value)
            ELSE max(value) END AS value
FROM series_values
GROUP BY combination, run, lane, occurrence, quantity;

-- The values that are compared, each once for every pair and quantity, phase by phase and for the
-- two sums of `series_values`.
--   a: key of the combination that stands first
--   b: of the other
--   side: 0: it is a's value, 1: b's
--   value: NULL: unknown
--   runs: how many of the side's runs have it
--   lane: the phase; `transferred` for the message's `received` too
--   occurrence: 1 for the first time the phase comes
--   quantity: as in `series_values`
CREATE VIEW compared_values AS
WITH pair AS MATERIALIZED (SELECT * FROM compared_pairs),
counted AS MATERIALIZED (
    SELECT combination, lane, occurrence, quantity, value, count(*) AS runs
    FROM series_phases GROUP BY combination, lane, occurrence, quantity, value),
side (a, b, side, combination, timed) AS (
    SELECT a, b, 0, a, timed FROM pair UNION ALL SELECT a, b, 1, b, timed FROM pair)
SELECT a, b, lane, occurrence, quantity, side, value, runs
FROM side JOIN counted USING (combination)
WHERE timed OR quantity NOT IN ('time_ns', 'cpu_ns');

-- What the values of a pair say, by the ranks of all pairs of a value of a and one of b: nothing is
-- assumed about how they are spread.
--   a: key of the combination that stands first
--   b: of the other
--   a_n: known values of a
--   b_n: of b
--   a_median: median of a
--   b_median: of b
--   ratio: median of all quotients of a value of b and one of a; NULL where one is 0
--   low: its 95 % interval (`interval_rule`); NULL with less than 5 values on a side
--   high: its other end
--   verdict: of b beside a: `more`, `less`, `no difference seen` (the interval holds 1), `same` (all
--     values are one number); NULL: too few runs
--   lane: the phase; `transferred` for the message's `received` too
--   occurrence: 1 for the first time the phase comes
--   quantity: as in `series_values`
CREATE VIEW compared_ratios AS
WITH RECURSIVE
sample AS MATERIALIZED (
    SELECT *, dense_rank() OVER (ORDER BY a, b, lane, occurrence, quantity) AS pair
    FROM compared_values WHERE value IS NOT NULL),
size AS MATERIALIZED (
    SELECT pair, a, b, lane, occurrence, quantity, min(value) AS min, max(value) AS max,
           sum(runs) FILTER (WHERE side = 0) AS a_n, sum(runs) FILTER (WHERE side = 1) AS b_n
    FROM sample GROUP BY pair HAVING a_n > 0 AND b_n > 0),
middle AS MATERIALIZED (
    SELECT pair, side, (min(value) FILTER (WHERE upto >= (n + 1) / 2)
                        + min(value) FILTER (WHERE upto >= n / 2 + 1)) / 2.0 AS median
    FROM (SELECT pair, side, value, sum(runs) OVER (PARTITION BY pair, side ORDER BY value) AS upto,
                 sum(runs) OVER (PARTITION BY pair, side) AS n
          FROM sample)
    GROUP BY pair, side),
-- The square of a rank's standard deviation, and Newton's root of it: a shell may have been built
-- without sqrt().
root (square, x, i) AS (
    SELECT DISTINCT a_n * b_n * (a_n + b_n + 1) / 12.0, a_n * b_n, 0 FROM size
    UNION ALL SELECT square, (x + square / x) / 2, i + 1 FROM root WHERE i < 60),
rule AS MATERIALIZED (
    SELECT s.*, a_n * b_n AS all_n,
           -- Below 1 these runs cannot say anything so surely.
           CASE WHEN a_n >= 5 AND b_n >= 5 AND a_n * b_n / 2.0 - z * x - 0.5 >= 1
           THEN CAST(a_n * b_n / 2.0 - z * x - 0.5 AS INTEGER) END AS k
    FROM size s, interval_rule
         JOIN root ON square = a_n * b_n * (a_n + b_n + 1) / 12.0 AND i = 60),
crossed AS MATERIALIZED (
    SELECT x.pair, CASE WHEN min > 0 THEN 1.0 * y.value / x.value END AS q,
           (y.value > x.value) - (y.value < x.value) AS sign, x.runs * y.runs AS weight
    FROM rule JOIN sample x USING (pair) JOIN sample y USING (pair)
    WHERE x.side = 0 AND y.side = 1),
ordered AS (
    SELECT *, sum(weight) OVER (PARTITION BY pair ORDER BY q) AS upto FROM crossed),
found AS (
    SELECT pair, min(q) FILTER (WHERE upto >= k) AS low,
           min(q) FILTER (WHERE upto >= all_n - k + 1) AS high,
           (min(q) FILTER (WHERE upto >= (all_n + 1) / 2)
            + min(q) FILTER (WHERE upto >= all_n / 2 + 1)) / 2 AS ratio,
           coalesce(sum(weight) FILTER (WHERE sign <= 0), 0) AS not_more,
           coalesce(sum(weight) FILTER (WHERE sign >= 0), 0) AS not_less
    FROM ordered JOIN rule USING (pair) GROUP BY pair)
SELECT a, b, lane, occurrence, quantity, a_n, b_n,
       (SELECT median FROM middle m WHERE m.pair = r.pair AND side = 0) AS a_median,
       (SELECT median FROM middle m WHERE m.pair = r.pair AND side = 1) AS b_median,
       ratio, low, high,
       CASE WHEN k IS NULL THEN NULL WHEN min = max THEN 'same' WHEN not_more < k THEN 'more'
            WHEN not_less < k THEN 'less' ELSE 'no difference seen' END AS verdict
FROM rule r JOIN found USING (pair);

-- Two combinations of a series beside each other, phase by phase: those of `compared_pairs`.
--   a_scenario: of the combination that stands first
--   b_scenario: of the other
--   lane: the phase; `transferred` for the message's `received` too; `handed_over` and `all`: sums, as
--     in `series_values`
--   occurrence: 1 for the first time the phase comes
--   region_bytes: most bytes of regions that one actor had at once
--   emulated: 1: by an emulator, whose times compare with each other only
--   series_id: the series
--   differs: as in `compared_pairs`
--   a_value: what a has of it
--   b_value: what b has of it
--   a_backend: of a
--   b_backend: of b
--   a_params: parameters of a as a JSON object
--   b_params: parameters of b as a JSON object
--   a_kernel: what ran a
--   b_kernel: what ran b
--   quantity: as in `series_values`
--   a_n: known values of a
--   b_n: known values of b
--   a_median: median of a
--   b_median: median of b
--   ratio: as in `compared_ratios`
--   low: as in `compared_ratios`
--   high: as in `compared_ratios`
--   verdict: as in `compared_ratios`
CREATE VIEW comparisons AS
SELECT x.series_id, p.differs, p.a_value, p.b_value, x.scenario AS a_scenario,
       y.scenario AS b_scenario, x.backend AS a_backend, y.backend AS b_backend,
       x.params AS a_params, y.params AS b_params, x.kernel AS a_kernel, y.kernel AS b_kernel,
       x.page_size, x.region_bytes, x.emulated, lane, occurrence, quantity, a_n, b_n, a_median,
       b_median, ratio, low, high, verdict
FROM compared_ratios r JOIN compared_pairs p USING (a, b)
     JOIN combinations x ON x.combination = r.a JOIN combinations y ON y.combination = r.b
ORDER BY x.series_id, p.differs, x.scenario, x.backend, x.region_bytes, r.a, r.b, lane,
         occurrence, quantity;
