-- What the machine let the lab see: missing capabilities first.
SELECT r.backend, json_extract(c.value, '$.name') AS name, json_extract(c.value, '$.state') AS state,
       json_extract(c.value, '$.unlocks') AS unlocks, count(*) AS runs
FROM run AS r, json_each(coalesce(r.capabilities, '[]')) AS c
WHERE r.run_id IN (SELECT value FROM json_each(:runs))
GROUP BY 1, 2, 3, 4
ORDER BY r.backend, state IN ('yes', 'available'), min(c.key), name, state;
