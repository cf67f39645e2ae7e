-- The published steps of fork and write beside what was measured: share mode, references, resident
-- pages. A ? is unknown.
WITH p AS MATERIALIZED (
    SELECT * FROM published
    WHERE scenario = 'fork-write' AND quantity IN ('share_mode', 'ref_count', 'resident')),
told AS (
    SELECT case_name, observed, min(nr) AS nr,
           max(published) FILTER (WHERE quantity = 'share_mode') || ', '
           || max(published) FILTER (WHERE quantity = 'ref_count') || ', '
           || max(published) FILTER (WHERE quantity = 'resident') AS published,
           max(reason) FILTER (WHERE quantity = 'share_mode' AND same IS NOT 0) AS reason
    FROM p GROUP BY case_name, observed),
seen AS (
    SELECT case_name, w.nr AS backend_nr,
           coalesce(max(measured) FILTER (WHERE quantity = 'share_mode'), '?') || ', '
           || coalesce(max(measured) FILTER (WHERE quantity = 'ref_count'), '?') || ', '
           || coalesce(max(measured) FILTER (WHERE quantity = 'resident'), '?') AS measured,
           CASE WHEN min(same) = 0 THEN 'differs' WHEN count(same) = count(*) THEN 'same'
                ELSE 'in part unknown' END AS same
    FROM p JOIN published_backend AS w USING (backend)
    WHERE run_id IS NOT NULL AND step IS NOT NULL GROUP BY case_name, w.nr)
SELECT t.case_name, t.observed, t.published,
       coalesce(a.measured, 'not run') AS measured_1, coalesce(a.same, '') AS same_1,
       coalesce(b.measured, 'not run') AS measured_2, coalesce(b.same, '') AS same_2,
       trim(coalesce(t.reason, '') || '; ' || coalesce((SELECT group_concat(line, '; ')
                    FROM (SELECT d.backend || ' differs: ' || d.reason AS line FROM p AS d
                          WHERE d.case_name = t.case_name AND d.same = 0
                          GROUP BY d.backend, d.reason ORDER BY d.backend, min(d.nr))), ''), '; ') AS reason
FROM told AS t LEFT JOIN seen AS a ON a.case_name = t.case_name AND a.backend_nr = 1
     LEFT JOIN seen AS b ON b.case_name = t.case_name AND b.backend_nr = 2
ORDER BY t.nr;
