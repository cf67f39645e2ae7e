-- Expectations that failed in a series, a line each, with how many runs of the combination they
-- failed in; what was measured is that of the last.
SELECT printf('%s on %s%s, step %d (%s): %s %s: expected %s, measured %s; in %d of %d runs, last in %s',
              scenario, backend, iif(setting = '', '', ' ' || setting), step, phase, observed, key,
              expected, coalesce(measured, 'unknown'), n,
              (SELECT count(*) FROM series_runs o
               WHERE (o.series_id, o.scenario, o.backend, o.params)
                   = (:series, f.scenario, f.backend, f.params)), last) AS line
FROM (SELECT r.scenario, r.backend, r.params, setting, x.step, s.phase, observed, key, expected,
             measured, count(*) AS n, max(r.started_at), r.run_id AS last
      FROM series_runs r JOIN run USING (run_id) JOIN expectation x USING (run)
           JOIN step s USING (run, step)
      WHERE series_id = :series AND result = 'failed'
      GROUP BY r.scenario, r.backend, r.params, x.step, x.nr) f
ORDER BY scenario, backend, params, step, observed, key;
