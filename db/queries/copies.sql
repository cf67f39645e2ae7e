-- Who copied how many pages at each step? (latest complete run per scenario and backend)
.headers on
.mode column
SELECT t.scenario, t.backend, t.step, t.phase, t.observed AS writer, t.region, t.case_name,
       t.write_outcome, t.first_touch, t.copied, t.reused, t.no_fault,
       t.copied * t.page_size / 1024 AS copied_kb, t.swapped_in
FROM timeline t JOIN latest_runs USING (run_id)
WHERE t.observed = t.actor AND t.action = 'write'
ORDER BY t.scenario, t.backend, t.step;
