-- What one side of a comparison has: a row per combination of scenario, backend and parameters,
-- with the runs that speak for it: those of the newest series that has it, warm-ups left out, else
-- the newest complete run. A run or a series that is named is all of the side.
-- A watch says nothing that another must say again.
SELECT scenario, backend, params, group_concat(DISTINCT kernel) AS kernels, count(*) AS n,
       sum(status <> 'complete') AS cut_short, json_group_array(run_id) AS runs,
       -- Of runs that are named only they speak, whatever series they are of.
       CASE WHEN :run IS NULL THEN max(series) END AS series, backend AS own_backend, params AS own_params,
       group_concat(DISTINCT place) AS machines
FROM (SELECT r.*, p.machine AS place, first_value(coalesce(series, -run)) OVER (
                 PARTITION BY scenario, backend, params
                 ORDER BY series IS NULL, started_at DESC, run DESC) AS chosen
      FROM run r JOIN run_places p USING (run)
      WHERE scenario <> 'watch'
        AND CASE WHEN :run IS NOT NULL THEN run_id = :run
            ELSE status = 'complete' AND coalesce(warm_up, 0) = 0
                 AND (:series IS NULL
                      OR series = (SELECT series FROM series WHERE series_id = :series)) END)
WHERE coalesce(series, -run) = chosen
GROUP BY scenario, backend, params
ORDER BY scenario, backend, params
