-- Ways for memory to change hands: of each scenario of the report that hands memory over, the newest run of
-- each backend, kernel, machine, page size and set of parameters, and the runs that were asked for.
WITH asked AS (
    SELECT DISTINCT scenario FROM run JOIN json_each(:runs) ON run_id = value
    WHERE source LIKE '%"hand_over"%'),
hosts AS (
    SELECT r.*, printf('%d CPUs, %.1f GiB', json_extract(machine, '$.cpus'),
                       json_extract(machine, '$.memory_kb') / 1048576.0) AS host,
           json_remove(params, '$.way') AS rest
    FROM run r JOIN asked USING (scenario)),
aged AS (
    SELECT *, row_number() OVER (PARTITION BY scenario, backend, kernel, host, page_size, params
                                 ORDER BY status NOT IN ('complete', 'failed'), warm_up IS 1,
                                          started_at DESC, run_id DESC) AS age
    FROM hosts),
chosen AS (
    SELECT run, run_id, scenario, kernel, host, page_size, params, rest, status, message FROM aged
    WHERE (age = 1 AND warm_up IS NOT 1 AND status IN ('complete', 'failed'))
       OR run_id IN (SELECT value FROM json_each(:runs)))
SELECT dense_rank() OVER (ORDER BY c.scenario, c.kernel, c.host, c.page_size, h.bytes, h.buffer, c.rest) AS class,
       c.scenario, c.kernel, c.host, c.page_size, c.run_id,
       coalesce(h.way, json_extract(c.params, '$.way')) AS way, h.bytes / 1024.0 AS bytes_kb, h.bytes,
       CASE WHEN h.buffer IS NULL THEN json_extract(c.params, '$.buffer') ELSE h.buffer END AS buffer,
       h.huge, h.received_ns, h.read_ns, h.written_ns, h.sender_cpu_ns, h.receiver_cpu_ns, h.faults,
       h.peak_kb, h.shows, h.survives, h.taken_acted,
       CASE WHEN h.added_kb IS NULL THEN NULL
            WHEN h.bytes < 2048 * h.tolerance_kb THEN 'too little to tell'
            ELSE printf('%.1f', max(h.added_kb, 0) * 1024.0 / h.bytes) END AS added,
       iif(h.shows = 'yes', 1, 0) AS one_memory,
       json_extract(c.params, '$.huge') IN ('true', 1) AS asked_huge,
       iif(c.status = 'complete', NULL, c.status || ifnull(': ' || c.message, '')) AS ended,
       iif(c.status = 'complete',
           iif(h.peak_kb IS NULL, 'peak_kb,added,', '')
           || iif(h.sender_cpu_ns IS NULL AND (h.given_acted IS NOT NULL OR h.taken_acted IN ('sender', 'both')), 'sender_cpu_ns,', '')
           || iif(h.receiver_cpu_ns IS NULL AND h.taken_acted IN ('receiver', 'both'), 'receiver_cpu_ns,', '')
           || iif(h.huge IS NULL, 'huge,', '') || iif(h.shows IS NULL, 'shows,', '')
           || iif(h.survives IS NULL, 'survives,', ''), '') AS unknown_keys
FROM chosen c LEFT JOIN handovers h USING (run)
ORDER BY c.scenario, c.kernel, c.host, c.page_size, h.bytes IS NULL, h.bytes, buffer, c.rest, c.status <> 'complete',
         h.received_ns, way, c.run_id;
