-- What a series was asked, in words, and on what it ran.
SELECT (SELECT group_concat(value, ', ') FROM json_each(g.spec, '$.scenarios')) AS scenarios,
       (SELECT group_concat(p.key || ' ' || (SELECT group_concat(v.value, ', ')
                                             FROM json_each(p.value) v), '; ')
        FROM json_each(g.spec, '$.params') p) AS params,
       seed, repeat, planned, combinations, counted,
       (SELECT count(*) FROM run r WHERE r.series = g.series AND warm_up) AS warm_ups,
       (SELECT count(*) FROM run r WHERE r.series = g.series AND status <> 'complete') AS not_complete,
       planned - (SELECT count(*) FROM run r WHERE r.series = g.series) AS not_made,
       (SELECT count(DISTINCT run) FROM run r JOIN expectation x USING (run)
        WHERE r.series = g.series AND result = 'failed') AS failed,
       kernels, emulated
FROM series g,
     (SELECT count(*) AS combinations, sum(n) AS counted, (SELECT group_concat(kernel, ', ')
              FROM (SELECT DISTINCT kernel FROM combinations WHERE series_id = :series
                    ORDER BY kernel)) AS kernels,
             group_concat(DISTINCT backend) FILTER (WHERE emulated) AS emulated
      FROM combinations WHERE series_id = :series)
WHERE series_id = :series;
