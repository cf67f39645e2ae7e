-- Frames that two actors of a run have in common; steps without any are left out.
SELECT step, phase, actor_a, actor_b, region_frames, region_kb, frames, shared_kb,
       iif(frames IS NULL OR region_frames IS NULL,
           'frames,shared_kb,region_frames,region_kb', '') AS unknown_keys
FROM sharing
WHERE run_id = :run_id AND (frames IS NULL OR frames > 0)
ORDER BY step, actor_a, actor_b;
