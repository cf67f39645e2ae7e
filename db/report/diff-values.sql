-- The values of series (:series, a JSON array of keys), phase by phase, with their runs: what two
-- series compare beside what their scenarios decide. Not RSS, PSS and distinct frames, which depend
-- on what else runs on the machine and has the same files mapped.
--   part: quarter of the series in time, 0 to 3
WITH value AS MATERIALIZED (
    SELECT * FROM series_phases
    WHERE value IS NOT NULL AND quantity IN ('time_ns', 'minflt', 'pagetable_kb', 'system_kb')),
placed AS MATERIALIZED (
    SELECT run, r.series, scenario, backend, params, emulated,
           ntile(4) OVER (PARTITION BY combination ORDER BY started_at, run) - 1 AS part
    FROM (SELECT DISTINCT combination, run FROM value) JOIN run r USING (run)
         JOIN run_places USING (run)
    WHERE r.series IN (SELECT value FROM json_each(:series)))
SELECT series, scenario, backend, params, emulated, part, lane, occurrence, quantity, value,
       count(*) AS runs
FROM placed JOIN value USING (run)
GROUP BY combination, part, lane, occurrence, quantity, value
