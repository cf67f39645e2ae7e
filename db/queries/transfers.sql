-- Out-of-line transfers: what was asked, what arrived, what was really done, and why? (latest complete runs)
.headers on
.mode column
SELECT t.scenario, t.backend, t.step, t.sender, t.receiver, t.region, t.case_name, t.kind, t.asked,
       t.received, t.done, t.deallocate, t.size, t.why
FROM transfers t JOIN latest_runs USING (run_id)
ORDER BY t.scenario, t.backend, t.step, t.descriptor;
