-- What the machine did not let the lab see, and how to get it.
SELECT r.backend, json_extract(c.value, '$.name') AS name,
       json_extract(c.value, '$.unlocks') AS unlocks, json_extract(c.value, '$.reason') AS reason,
       json_extract(c.value, '$.how') AS how, count(*) AS runs
FROM run AS r, json_each(coalesce(r.capabilities, '[]')) AS c
WHERE r.run_id IN (SELECT value FROM json_each(:runs))
  AND (json_extract(c.value, '$.have') = 0 OR json_extract(c.value, '$.state') IN ('no', 'missing'))
GROUP BY 1, 2, 3, 4, 5
ORDER BY r.backend, min(c.key), name, reason;
