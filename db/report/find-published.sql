-- How many published values were measured again, how many came out the same, and which did not.
-- predicted: nothing was published of these; they are compared with what XNU's own rules predict.
-- by_construction: the layer carries out XNU's rules for purgeable memory, so it has to.
SELECT p.scenario, p.backend, p.memory, count(p.same) AS measured, total(p.same) AS same,
       count(*) - count(p.same) AS unknown, count(p.published) = 0 AS predicted,
       max(w.purgeable AND json_extract(r.params, '$.memory') IS 'purgeable') AS by_construction,
       group_concat(p.case_name || ' ' || replace(p.quantity, '_', ' ') || ' of the ' || p.observed, ', ')
           FILTER (WHERE p.rank <= 8) || iif(count(p.same) - total(p.same) > 8, ', ...', '') AS differing
FROM (SELECT *, CASE same WHEN 0 THEN row_number() OVER (PARTITION BY run_id, memory, same ORDER BY nr)
                END AS rank
      FROM published WHERE run_id IS NOT NULL ORDER BY nr) AS p
     JOIN run AS r USING (run_id) JOIN published_backend AS w ON w.backend = p.backend
GROUP BY p.scenario, p.backend, p.memory
HAVING count(p.same) > 0
ORDER BY p.scenario, p.backend, p.memory;
