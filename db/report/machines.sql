-- On which machines the runs were made.
SELECT backend, coalesce(kernel, 'unknown') AS kernel, page_size / 1024.0 AS page_kb,
       (SELECT group_concat(m.key || ': ' || m.value, '; ') FROM json_each(coalesce(machine, '{}')) AS m)
           AS details,
       count(*) AS runs
FROM run
WHERE run_id IN (SELECT value FROM json_each(:runs))
GROUP BY backend, kernel, page_size, machine
ORDER BY backend, kernel, page_size, machine;
