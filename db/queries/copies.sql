-- Who copied how many pages at each step? (latest complete run per scenario and backend)
.headers on
.mode column
SELECT c.scenario, c.backend, c.step, c.phase, c.writer, c.region, c.case_name, c.write_outcome,
       c.first_touch, c.copied, c.reused, c.no_fault, c.copied_kb, c.swapped_in
FROM copies c JOIN latest_runs USING (run_id)
ORDER BY c.scenario, c.backend, c.step;
