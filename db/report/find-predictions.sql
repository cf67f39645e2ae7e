-- Pages that were written, by what their states predicted: in how many it held and failed, and where;
-- of which the kernel may decide either way.
WITH told AS (
    SELECT r.scenario, r.backend, r.run_id, c.*,
           c.step || ', ' || coalesce(c.observed || coalesce('.' || c.region, ''), 'all') || ': '
           || printf('%,d of %,d %s pages were not %s', c.right_value - c.left_value, c.right_value,
                     substr(c.detail, 1, instr(c.detail, ' ') - 1),
                     substr(c.detail, instr(c.detail, '(') + 1,
                            instr(c.detail, ')') - instr(c.detail, '(') - 1))
           || iif(c.detail LIKE '%cause is not known%', ' (the cause is not known)', '') AS place
    FROM run AS r JOIN cross_check AS c USING (run)
    WHERE r.run_id IN (SELECT value FROM json_each(:runs)) AND c.name = 'prediction')
SELECT sum(right_value) AS pages, total(left_value) AS held,
       total(right_value - left_value) AS failed,
       total(right_value) FILTER (WHERE left_value IS NULL) AS either,
       (SELECT group_concat(scenario || ' on ' || backend || ', step ' || place, '; ')
        FROM (SELECT * FROM told WHERE right_value > left_value
              ORDER BY scenario, backend, run_id, step, nr)) AS places,
       (SELECT group_concat(scenario || ' on ' || backend || ' ' || printf('%,d', n), ', ')
        FROM (SELECT scenario, backend, sum(right_value) AS n FROM told WHERE left_value IS NULL
              GROUP BY scenario, backend ORDER BY n DESC, scenario, backend)) AS undecided
FROM told
HAVING count(*) > 0;
