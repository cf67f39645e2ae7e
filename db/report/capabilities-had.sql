-- What the machine let the lab see, a line per backend.
SELECT backend, group_concat(name, ', ') AS names
FROM (SELECT r.backend, json_extract(c.value, '$.name') AS name
      FROM run AS r, json_each(coalesce(r.capabilities, '[]')) AS c
      WHERE r.run_id IN (SELECT value FROM json_each(:runs))
        AND (json_extract(c.value, '$.have') = 1 OR json_extract(c.value, '$.state') IN ('yes', 'available'))
      GROUP BY 1, 2
      ORDER BY r.backend, min(c.key))
GROUP BY backend;
