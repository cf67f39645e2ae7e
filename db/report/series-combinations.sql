-- The combinations of a series in the order in which they were asked for: counted complete runs, the
-- median of the time that handing the memory over took, and its 95 % interval.
WITH asked AS (
    SELECT r.scenario, r.backend, r.params, setting, min(r.started_at), max(emulated) AS emulated,
           sum(NOT warm_up AND status = 'complete') AS n, spec
    FROM series_runs r JOIN series g USING (series_id)
         JOIN run_places p ON p.run = (SELECT run FROM run u WHERE u.run_id = r.run_id)
    WHERE series_id = :series
    GROUP BY r.scenario, r.backend, r.params)
SELECT a.scenario, a.backend, a.params, a.setting, a.emulated, a.n, median, low, high
FROM asked a
     LEFT JOIN (SELECT * FROM phase_stats WHERE series_id = :series AND phase = 'handed_over'
                AND quantity = 'time_ns') s USING (scenario, backend, params)
ORDER BY (SELECT key FROM json_each(spec, '$.scenarios') WHERE value = a.scenario),
         (SELECT key FROM json_each(spec, '$.backends') WHERE value = a.backend),
         (SELECT group_concat(printf('%04d', (SELECT v.key
                  FROM json_each(spec, '$.params."' || p.key || '"') v
                  WHERE v.value = CAST(p.value AS TEXT))))
          FROM json_each(a.params) p
          WHERE p.key IN (SELECT key FROM json_each(spec, '$.params')));
