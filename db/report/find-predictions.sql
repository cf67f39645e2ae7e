-- Pages that were written, by what their states predicted: in how many it held and failed, and where;
-- of which nothing was predicted, and why.
WITH told AS (SELECT * FROM predictions WHERE run_id IN (SELECT value FROM json_each(:runs))),
place AS (
    SELECT scenario || ' on ' || backend AS run, sum(either) AS either, sum(hidden) AS hidden,
           sum(untold) AS untold
    FROM told GROUP BY scenario, backend ORDER BY sum(pages) DESC, scenario, backend)
SELECT sum(pages) AS pages, sum(held) AS held, sum(failed) AS failed, sum(either) AS either,
       sum(hidden) AS hidden, sum(untold) AS untold,
       (SELECT group_concat(printf('%s on %s, step %d, %s: %,d of %,d %s pages were not %s', scenario,
                                   backend, step, coalesce(observed || coalesce('.' || region, ''), 'all'),
                                   failed, pages, state, promise), '; ')
        FROM (SELECT * FROM told WHERE failed > 0 ORDER BY scenario, backend, run_id, step))
           AS failed_where,
       (SELECT group_concat(printf('%s %,d', run, either), ', ') FROM place WHERE either > 0)
           AS either_where,
       (SELECT group_concat(printf('%s %,d', run, hidden), ', ') FROM place WHERE hidden > 0)
           AS hidden_where,
       (SELECT group_concat(printf('%s %,d', run, untold), ', ') FROM place WHERE untold > 0)
           AS untold_where
FROM told
HAVING count(*) > 0;
