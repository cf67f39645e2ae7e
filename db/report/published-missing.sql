-- Published values that no run here compares with, and what would run it. Only the layer has purgeable
-- memory; the large sizes are for Linux.
WITH seen AS MATERIALIZED (SELECT nr, backend FROM published WHERE run_id IS NOT NULL)
SELECT 'cowlab run ' || v.scenario || coalesce(' --param memory=' || v.memory, '')
       || coalesce(' --param bytes=' || (v.region_bytes / iif(v.scenario LIKE '%-two-%', 2, 1)), '')
       || iif(v.deallocate, ' --param deallocate=true', '')
       || iif(w.purgeable, '', ' --backend ' || w.backend) AS command,
       count(*) AS missing
FROM published_value AS v
     JOIN published_backend AS w ON w.purgeable OR (v.region_bytes IS NULL AND v.memory IS NOT 'purgeable')
WHERE v.observed <> 'process' AND NOT EXISTS (SELECT 1 FROM seen WHERE nr = v.nr AND backend = w.backend)
GROUP BY command
ORDER BY w.nr, min(v.nr);
