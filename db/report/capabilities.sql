-- What the machine did not let the lab see, and how to get it; :brief not NULL: where a value of the run is
-- unknown for it. What the lab does not use is missed by nobody.
WITH needs (why, name) AS (
    VALUES (2, 'frames'), (3, 'kpagecount'), (3, 'kpageflags'), (4, 'debt'), (6, 'page_mapcount'),
           (7, 'pagemap'), (8, 'pagemap'), (8, 'smaps'), (8, 'smaps_rollup'), (8, 'cachestat'), (10, 'cgroup'),
           (15, 'frames'), (16, 'kpageflags'), (16, 'pagemap_scan'))
SELECT r.backend, json_extract(c.value, '$.name') AS name,
       json_extract(c.value, '$.unlocks') AS unlocks, json_extract(c.value, '$.reason') AS reason,
       json_extract(c.value, '$.how') AS how, count(*) AS runs
FROM run AS r, json_each(coalesce(r.capabilities, '[]')) AS c
WHERE r.run_id IN (SELECT value FROM json_each(:runs))
  AND (json_extract(c.value, '$.have') = 0 OR json_extract(c.value, '$.state') IN ('no', 'missing'))
  AND coalesce(json_extract(c.value, '$.unlocks'), '') NOT LIKE '%(not used by the lab)'
  AND (:brief IS NULL OR EXISTS (SELECT 1 FROM needs JOIN unknown USING (why)
                                 WHERE run = r.run AND name = json_extract(c.value, '$.name')))
GROUP BY 1, 2, 3, 4, 5
ORDER BY r.backend, min(c.key), name, reason;
