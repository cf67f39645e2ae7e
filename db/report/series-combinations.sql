-- The combinations of a series in the order in which they were asked for: counted complete runs, the
-- median of the time that handing the memory over took, and its 95 % interval (from the order
-- statistics; NULL with less than 5 runs).
WITH RECURSIVE
took AS MATERIALIZED (
    SELECT r.scenario, r.backend, r.params, setting, r.started_at,
           json_extract(u.machine, '$.accelerator') IS 'tcg' AS emulated,
           CASE WHEN NOT r.warm_up AND r.status = 'complete' THEN
               (SELECT sum(dur_ns) FROM step s WHERE s.run = u.run
                AND phase IN ('in_transit', 'transferred', 'received')) END AS ns
    FROM series_runs r JOIN run u USING (run_id)
    WHERE series_id = :series),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY scenario, backend, params ORDER BY ns) AS i,
           count(*) OVER (PARTITION BY scenario, backend, params) AS n
    FROM took WHERE ns IS NOT NULL),
-- Newton's square root: a shell may have been built without sqrt().
root (n, x, i) AS (
    SELECT DISTINCT n, n, 0 FROM ranked
    UNION ALL SELECT n, (x + 1.0 * n / x) / 2, i + 1 FROM root WHERE i < 40),
place (n, middle, low, high) AS (
    SELECT n, (n + 1) / 2.0, max(1, (n + 1) / 2.0 - 0.98 * x + 0.15),
           min(n, (n + 1) / 2.0 + 0.98 * x - 0.15)
    FROM root WHERE i = 40),
-- Between two neighbours in the order on the straight line.
found AS (
    SELECT scenario, backend, params,
           sum(ns * max(0, 1 - abs(i - middle))) AS median,
           CASE WHEN n >= 5 THEN sum(ns * max(0, 1 - abs(i - low))) END AS low,
           CASE WHEN n >= 5 THEN sum(ns * max(0, 1 - abs(i - high))) END AS high
    FROM ranked JOIN place USING (n) GROUP BY scenario, backend, params)
SELECT t.scenario, t.backend, t.params, setting, max(emulated) AS emulated,
       (SELECT count(*) FROM series_runs c
        WHERE (c.series_id, c.scenario, c.backend, c.params)
            = (:series, t.scenario, t.backend, t.params)
          AND NOT c.warm_up AND c.status = 'complete') AS n, median, low, high
FROM took t LEFT JOIN found USING (scenario, backend, params), series g
WHERE series_id = :series
GROUP BY t.scenario, t.backend, t.params
ORDER BY (SELECT key FROM json_each(spec, '$.scenarios') WHERE value = t.scenario),
         (SELECT key FROM json_each(spec, '$.backends') WHERE value = t.backend),
         (SELECT group_concat(printf('%04d', (SELECT v.key
                  FROM json_each(spec, '$.params."' || p.key || '"') v
                  WHERE v.value = CAST(p.value AS TEXT))))
          FROM json_each(t.params) p
          WHERE p.key IN (SELECT key FROM json_each(spec, '$.params')));
