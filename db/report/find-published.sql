-- How many published values came out the same, which did not, and which are not known here.
-- predicted: nothing was published of these; they are compared with what XNU's own rules predict.
-- by_construction: the layer carries out XNU's rules for purgeable memory, so it has to.
WITH p AS MATERIALIZED (
    SELECT *, CASE same WHEN 0 THEN row_number() OVER (PARTITION BY run_id, memory, same ORDER BY nr)
              END AS rank
    FROM published WHERE run_id IS NOT NULL ORDER BY nr),
noun (quantity, noun) AS (VALUES
    ('ref_count', 'reference count'), ('resident', 'resident count'),
    ('region_resident_bytes', 'resident size'), ('region_dirty_bytes', 'dirty size'),
    ('physical_footprint_bytes', 'footprint'), ('physical_footprint_peak_bytes', 'peak footprint'),
    ('system_increase_bytes', 'system increase'), ('received_copy', 'received option')),
unknown AS (
    SELECT scenario, backend, memory,
           count(*) || ' ' || coalesce(noun, replace(quantity, '_', ' ')) || iif(count(*) = 1, '', 's') AS n
    FROM p LEFT JOIN noun USING (quantity) WHERE same IS NULL
    GROUP BY scenario, backend, memory, quantity ORDER BY count(*) DESC, min(nr))
SELECT p.scenario, p.backend, p.memory, count(*) AS total, total(p.same) AS same,
       count(p.same) - total(p.same) AS differ, count(*) - count(p.same) AS unknown, count(p.published) = 0 AS predicted,
       (SELECT group_concat(n, ', ') FROM unknown AS u
        WHERE u.scenario = p.scenario AND u.backend = p.backend AND u.memory IS p.memory) AS missing,
       max(w.purgeable AND json_extract(r.params, '$.memory') IS 'purgeable') AS by_construction,
       CASE WHEN max(w.purgeable AND json_extract(r.params, '$.memory') IS 'purgeable')
            THEN 'none: by construction, the layer carries out XNU''s rules'
            WHEN count(p.published) = 0 THEN 'against what XNU''s rules predict: nothing is published of it'
            ELSE 'measured' END AS evidence,
       group_concat(p.case_name || ' ' || replace(p.quantity, '_', ' ') || ' of the ' || p.observed, ', ')
           FILTER (WHERE p.rank <= 8) || iif(count(p.same) - total(p.same) > 8, ', ...', '') AS differing
FROM p JOIN run AS r USING (run_id) JOIN published_backend AS w ON w.backend = p.backend
GROUP BY p.scenario, p.backend, p.memory
ORDER BY p.scenario, p.backend, p.memory;
