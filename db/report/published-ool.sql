-- The eight published out-of-line transfers, as the receiver sees them: share mode, references,
-- resident pages. Published (purgeable memory) and predicted (ordinary memory) for XNU beside what was
-- measured in both. A ? is unknown.
WITH p AS MATERIALIZED (
    SELECT * FROM published
    WHERE scenario = 'ool-options' AND quantity IN ('share_mode', 'ref_count', 'resident')),
told AS (
    SELECT case_name, memory, min(nr) AS nr,
           max(published) FILTER (WHERE quantity = 'share_mode') || ', '
           || max(published) FILTER (WHERE quantity = 'ref_count') || ', '
           || max(published) FILTER (WHERE quantity = 'resident') AS published,
           max(predicted) FILTER (WHERE quantity = 'share_mode') || ', '
           || max(predicted) FILTER (WHERE quantity = 'ref_count') || ', '
           || max(predicted) FILTER (WHERE quantity = 'resident') AS predicted,
           max(reason) FILTER (WHERE quantity = 'share_mode' AND same IS NOT 0) AS reason
    FROM p GROUP BY case_name, memory),
seen AS (
    SELECT case_name, memory, w.purgeable,
           coalesce(max(measured) FILTER (WHERE quantity = 'share_mode'), '?') || ', '
           || coalesce(max(measured) FILTER (WHERE quantity = 'ref_count'), '?') || ', '
           || coalesce(max(measured) FILTER (WHERE quantity = 'resident'), '?')
           || CASE WHEN min(same) = 0 THEN ' (differs)' WHEN count(same) = count(*) THEN ' (same)'
              ELSE ' (in part unknown)' END AS measured
    FROM p JOIN published_backend AS w USING (backend)
    WHERE run_id IS NOT NULL AND step IS NOT NULL GROUP BY case_name, memory, w.nr)
SELECT a.case_name, a.published, coalesce(la.measured, 'not run') AS measured_purgeable,
       o.predicted, coalesce(lo.measured, 'not run') AS measured_ordinary,
       coalesce(go.measured, gp.measured, 'not run') AS measured_only,
       why.text AS reason
FROM told AS a
     JOIN (SELECT case_name, group_concat(line, '; ') AS text
           FROM (SELECT case_name, 1 AS part, '' AS backend, 0 AS nr, reason AS line
                 FROM told WHERE memory = 'purgeable' AND reason IS NOT NULL
                 UNION ALL
                 SELECT o.case_name, 2, '', 0,
                        iif(o.reason LIKE 'ordinary memory%', '', 'ordinary memory: ') || o.reason
                 FROM told AS o JOIN told AS p ON p.case_name = o.case_name AND p.memory = 'purgeable'
                 WHERE o.memory = 'ordinary' AND o.reason <> p.reason
                 UNION ALL
                 SELECT case_name, 3, backend, min(nr), backend || ' differs: ' || reason
                 FROM p WHERE same = 0 GROUP BY case_name, backend, reason
                 ORDER BY case_name, part, backend, nr)
           GROUP BY case_name) AS why ON why.case_name = a.case_name
     LEFT JOIN told AS o ON o.case_name = a.case_name AND o.memory = 'ordinary'
     LEFT JOIN seen AS la ON la.case_name = a.case_name AND la.memory = 'purgeable'
                             AND la.purgeable = 1
     LEFT JOIN seen AS lo ON lo.case_name = a.case_name AND lo.memory = 'ordinary'
                             AND lo.purgeable = 1
     LEFT JOIN seen AS go ON go.case_name = a.case_name AND go.memory = 'ordinary'
                             AND go.purgeable = 0
     LEFT JOIN seen AS gp ON gp.case_name = a.case_name AND gp.memory = 'purgeable'
                             AND gp.purgeable = 0
WHERE a.memory = 'purgeable'
ORDER BY a.nr;
