-- What looking cost, by what was read. A row of the store can stand for several samples.
SELECT c.probe, sum(c.calls) AS calls, sum(c.bytes) / 1024 AS read_kb, sum(c.dur_ns) AS total_ns
FROM run r JOIN cost c USING (run)
WHERE r.run_id = :run_id
GROUP BY c.probe
ORDER BY sum(c.dur_ns) DESC, c.probe;
