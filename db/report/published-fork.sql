-- The published steps of fork and write beside what was measured: share mode, references, resident
-- pages. A ? is unknown.
SELECT p.case_name, p.observed, p.published,
       coalesce(max(p.measured) FILTER (WHERE w.nr = 1), 'not run') AS measured_1,
       coalesce(max(p.verdict) FILTER (WHERE w.nr = 1), '') AS same_1,
       coalesce(max(p.measured) FILTER (WHERE w.nr = 2), 'not run') AS measured_2,
       coalesce(max(p.verdict) FILTER (WHERE w.nr = 2), '') AS same_2,
       trim(coalesce(max(p.reason), '') || '; ' || coalesce((SELECT group_concat(line, '; ')
                    FROM (SELECT d.backend || ' differs: ' || d.reason AS line FROM published AS d
                          WHERE d.scenario = p.scenario AND d.case_name = p.case_name AND d.same = 0
                            AND d.quantity IN ('share_mode', 'ref_count', 'resident')
                          GROUP BY d.backend, d.reason ORDER BY d.backend, min(d.nr))), ''), '; ') AS reason
FROM published_places AS p LEFT JOIN published_backend AS w USING (backend)
WHERE p.scenario = 'fork-write'
GROUP BY p.case_name, p.observed
ORDER BY min(p.nr);
