-- Frames that two processes have in common: the latest row of each pair, which holds until its next
-- one; the pairs that share most.
WITH pair AS (
    SELECT h.step, h.actor_a, h.actor_b, h.frames * r.page_size / 1024 AS shared_kb,
           row_number() OVER (PARTITION BY h.actor_a, h.actor_b ORDER BY h.step DESC) AS age
    FROM run r JOIN shared_frames h USING (run)
    WHERE r.run_id = :run_id
)
SELECT actor_a, actor_b, shared_kb, step, 'shared_kb' AS unknown_keys FROM pair WHERE age = 1
ORDER BY shared_kb DESC, actor_a, actor_b
LIMIT 60;
