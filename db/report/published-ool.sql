-- The eight published out-of-line transfers, as the receiver sees them: share mode, references,
-- resident pages. Published (purgeable memory) and predicted (ordinary memory) for XNU beside what was
-- measured in both. A ? is unknown.
WITH p AS MATERIALIZED (
    SELECT p.*, w.purgeable, p.measured || ' (' || p.verdict || ')' AS told
    FROM published_places AS p LEFT JOIN published_backend AS w USING (backend)
    WHERE scenario = 'ool-options'),
why AS (
    SELECT case_name, 1 AS part, '' AS backend, 0 AS nr, max(reason) AS line
    FROM p WHERE memory = 'purgeable' GROUP BY case_name
    UNION ALL
    SELECT o.case_name, 2, '', 0,
           iif(max(o.reason) LIKE 'ordinary memory%', '', 'ordinary memory: ') || max(o.reason)
    FROM p AS o
    WHERE o.memory = 'ordinary'
    GROUP BY o.case_name
    HAVING max(o.reason) <> (SELECT max(reason) FROM p
                             WHERE case_name = o.case_name AND memory = 'purgeable')
    UNION ALL
    SELECT case_name, 3, backend, min(nr), backend || ' differs: ' || reason
    FROM published
    WHERE scenario = 'ool-options' AND quantity IN ('share_mode', 'ref_count', 'resident') AND same = 0
    GROUP BY case_name, backend, reason)
SELECT p.case_name, max(published) AS published,
       coalesce(max(told) FILTER (WHERE memory = 'purgeable' AND purgeable), 'not run')
           AS measured_purgeable,
       max(predicted) FILTER (WHERE memory = 'ordinary') AS predicted,
       coalesce(max(told) FILTER (WHERE memory = 'ordinary' AND purgeable), 'not run')
           AS measured_ordinary,
       coalesce(max(told) FILTER (WHERE memory = 'ordinary' AND NOT purgeable),
                max(told) FILTER (WHERE memory = 'purgeable' AND NOT purgeable), 'not run')
           AS measured_only,
       (SELECT group_concat(line, '; ')
        FROM (SELECT line FROM why WHERE case_name = p.case_name ORDER BY part, backend, nr)) AS reason
FROM p
GROUP BY p.case_name
ORDER BY min(p.nr) FILTER (WHERE memory = 'purgeable');
