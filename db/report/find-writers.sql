-- Whose writes had an outcome (copied, reused, ...), in pages: a line per run, most first. ~ marks
-- what was concluded.
WITH wrote AS MATERIALIZED (
    SELECT *, CASE :outcome WHEN 'copied' THEN copied WHEN 'reused' THEN reused
                            WHEN 'no_fault' THEN no_fault WHEN 'swapped_in' THEN swapped_in
                            ELSE first_touch END AS pages,
           instr(' ' || inferred || ' ', ' ' || :outcome || ' ') > 0 AS concluded
    FROM json_each(:runs) JOIN copies ON run_id = value
),
actor AS (
    SELECT run_id, scenario, backend, sum(pages) AS pages,
           writer || iif(max(concluded), ' ~', ' ') || printf('%,d', sum(pages))
           || CASE count(*) WHEN 1 THEN ' (step ' || min(step) || ')'
              ELSE ' (in ' || count(*) || ' steps)' END AS who
    FROM wrote WHERE pages > 0 GROUP BY run_id, writer
    ORDER BY run_id, min(step), writer
)
SELECT scenario, backend, sum(pages) AS pages, count(*) AS writers, group_concat(who, ', ') AS who
FROM actor
GROUP BY run_id
ORDER BY sum(pages) DESC, scenario, backend, run_id;
