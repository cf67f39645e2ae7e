-- Runs of a series that did not come to their end, a line each.
SELECT printf('%s on %s%s: %s%s; run %s', scenario, backend, iif(setting = '', '', ' ' || setting),
              status, coalesce(': ' || message, ''), run_id) AS line
FROM series_runs
WHERE series_id = :series AND status NOT IN ('complete', 'running');
