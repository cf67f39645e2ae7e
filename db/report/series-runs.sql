-- The runs of a series in their order.
SELECT run_id, scenario, backend, params, status, warm_up, started_at, duration_ns, message,
       (SELECT count(*) FROM expectation x WHERE x.run = r.run AND result = 'held') AS held,
       (SELECT count(*) FROM expectation x WHERE x.run = r.run AND result = 'failed') AS failed,
       (SELECT count(*) FROM expectation x
        WHERE x.run = r.run AND result = 'not checked') AS not_checked
FROM run r
WHERE series = (SELECT series FROM series WHERE series_id = :series)
ORDER BY started_at, run_id;
