-- Of each histogram of these runs the buckets: of a snapshot's writer from when a touch was due, and
-- before it that of the first run alone.
SELECT iif(b.part = 'step', printf('%s on %s, step %d: %s %ss', b.scenario, b.backend, b.step, l.actor,
                                   s.action),
           printf('%s, %s', n.way, b.part))
       || iif((SELECT count(*) FROM json_each(:runs) JOIN run ON run_id = value
               WHERE scenario = b.scenario AND backend = b.backend) > 1 AND b.part = 'step',
              ', run ' || b.run_id, '') AS line,
       b.run_id, b.step, b.part, b.n, b.upto, b.value_ns
FROM json_each(:runs)
     JOIN latency_buckets b ON b.run_id = value
     JOIN latency l USING (run, step, part, since)
     JOIN step s USING (run, step)
     LEFT JOIN snapshot n USING (run, step)
WHERE (:what IS NULL OR :what = iif(b.part = 'step', 'step', 'snapshot'))
  AND b.since = iif(b.part = 'step', 'touch', 'due')
  AND (b.part <> 'before' OR b.run_id = json_extract(:runs, '$[0]'))
ORDER BY b.part, n.pages, n.rate, n.way, b.scenario, b.backend, b.run_id, b.step, b.upto;
