-- A series, how its runs ended, and its expectations, those of warm-ups too.
SELECT g.series_id, g.started_at, seed, repeat, planned, spec, count(run_id) AS runs,
       count(*) FILTER (WHERE warm_up) AS warm_ups,
       count(*) FILTER (WHERE status = 'complete') AS complete,
       count(*) FILTER (WHERE status = 'complete' AND NOT warm_up) AS counted,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       count(*) FILTER (WHERE status = 'interrupted') AS interrupted,
       count(*) FILTER (WHERE status = 'crashed') AS crashed,
       count(*) FILTER (WHERE status = 'running') AS running,
       count(*) FILTER (WHERE status <> 'complete') AS not_complete,
       (SELECT count(*) FROM expectation JOIN run USING (run)
        WHERE series = g.series AND result = 'held') AS expectations_held,
       (SELECT count(*) FROM expectation JOIN run USING (run)
        WHERE series = g.series AND result = 'failed') AS expectations_failed,
       (SELECT count(*) FROM expectation JOIN run USING (run)
        WHERE series = g.series AND result = 'not checked') AS expectations_not_checked
FROM series g LEFT JOIN series_runs r USING (series_id)
WHERE g.series_id = :series
GROUP BY g.series;
