-- Snapshots of these runs, and beside them the newest by each other way of as many pages and writes.
WITH candidate AS (
    SELECT n.run, n.step, n.way, n.pages, n.rate, n.cpus, r.backend, r.kernel, r.started_at,
           r.run_id IN (SELECT value FROM json_each(:runs)) AS asked
    FROM snapshot n JOIN run r USING (run)
    WHERE r.status = 'complete' AND ifnull(r.warm_up, 0) = 0),
chosen AS (
    SELECT run, step
    FROM (SELECT *, max(asked) OVER alike AS wanted,
                 row_number() OVER (PARTITION BY backend, kernel, pages, rate, cpus, way
                                    ORDER BY asked DESC, started_at DESC, run DESC, step) AS age
          FROM candidate
          WINDOW alike AS (PARTITION BY backend, kernel, pages, rate, cpus))
    WHERE wanted AND (asked OR age = 1))
SELECT way, bytes / 1024 AS size_kb, iif(rate, rate, 'as many as can be') AS rate, cpus, still_ns,
       p50_before_ns, p50_during_ns, p99_before_ns, p99_during_ns, p999_before_ns, p999_during_ns,
       max_before_ns, max_during_ns, take_ns, take_gib_ns, readout_ns, added_kb, copied_pages,
       iif(consistent, 'yes', printf('no, %d pages', torn_pages)) AS one_moment, run_id,
       inferred AS inferred_keys, iif(added_kb IS NULL, 'added_kb', NULL) AS unknown_keys
FROM chosen JOIN snapshots USING (run, step)
ORDER BY size_kb, snapshots.rate, cpus, still_ns, way, run_id, step;
