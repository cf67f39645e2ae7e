-- Frames in common at the last sample that stored most pairs: there most processes were seen. A
-- pair's row holds until its next one.
WITH pair AS (
    SELECT h.step, h.nr, h.actor_a, h.actor_b, h.frames * r.page_size / 1024 AS shared_kb,
           row_number() OVER (PARTITION BY h.actor_a, h.actor_b ORDER BY h.step DESC) AS age
    FROM run r JOIN shared_frames h USING (run)
    WHERE r.run_id = :run_id
)
SELECT actor_a, actor_b, shared_kb FROM pair WHERE age = 1 ORDER BY step DESC, nr;
