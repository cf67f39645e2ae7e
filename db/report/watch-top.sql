-- The processes of a watch, those first that copied or lost most: ten rows at most, the last one then the
-- sum of all others.
WITH c AS MATERIALIZED (
    SELECT *, row_number() OVER (ORDER BY max(ifnull(copied_kb, 0), ifnull(lost_kb, 0)) DESC,
                                          max_rss_kb DESC, first_step, pid, actor) AS nr,
           count(*) OVER () AS n
    FROM watch_costs WHERE run_id = :run_id
)
SELECT nr, actor, substr(command, 1, 40) AS command, parent, max_rss_kb, max_parent_kb, lost_kb, copied_kb,
       iif(lost_why IS NULL, '', 'lost_kb,') || iif(copied_why IS NULL, '', 'copied_kb') AS at_least_keys,
       'max_rss_kb,' || iif(lost_why IS NULL, '', 'lost_kb,') || iif(copied_why IS NULL, '', 'copied_kb')
           AS unknown_keys
FROM c WHERE n <= 10 OR nr < 10
UNION ALL
SELECT 10, count(*) || ' more', NULL, NULL, NULL, NULL, sum(lost_kb), sum(copied_kb),
       iif(count(lost_why), 'lost_kb,', '') || iif(count(copied_why), 'copied_kb', ''),
       iif(count(lost_why), 'lost_kb,', '') || iif(count(copied_why), 'copied_kb', '')
FROM c WHERE n > 10 AND nr >= 10 HAVING count(*) > 0
ORDER BY nr;
