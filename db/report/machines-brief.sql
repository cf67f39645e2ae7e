-- On which machines the runs were made, a row per backend and kernel.
WITH facts AS (
    SELECT backend, coalesce(kernel, 'unknown') AS kernel, page_size / 1024.0 AS page_kb,
           json_extract(machine, '$.emulator') || coalesce(' (' || json_extract(machine, '$.accelerator') || ')', '')
           AS emulator,
           json_extract(machine, '$.cpus') AS cpus,
           coalesce(json_extract(machine, '$.memory_kb') / 1024, json_extract(machine, '$.memory_mib')) AS mib,
           iif(json_extract(machine, '$.root'), 'root', 'an ordinary user') AS user,
           json_extract(machine, '$.root') IS NOT NULL AS has_user
    FROM run WHERE run_id IN (SELECT value FROM json_each(:runs)))
SELECT backend, kernel, page_kb, group_concat(DISTINCT emulator) AS emulator,
       min(cpus) || iif(max(cpus) > min(cpus), ' to ' || max(cpus), '') AS cpus,
       printf('%,d', min(mib)) || iif(max(mib) > min(mib), printf(' to %,d', max(mib)), '') || ' MiB' AS memory,
       group_concat(DISTINCT user) FILTER (WHERE has_user) AS user, count(*) AS runs
FROM facts
GROUP BY backend, kernel, page_kb
ORDER BY backend, kernel, page_kb;
