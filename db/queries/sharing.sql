-- Who shares how much with whom? (latest complete runs)
.headers on
.mode column
SELECT s.scenario, s.backend, s.step, s.phase, s.actor_a, s.actor_b, s.region_frames, s.region_kb,
       s.frames, s.shared_kb
FROM sharing s JOIN latest_runs USING (run_id)
ORDER BY s.scenario, s.backend, s.step, s.actor_a, s.actor_b;
