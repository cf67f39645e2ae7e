-- The messages that were received in a run.
SELECT step, actor, id, size, text, descriptors,
       CASE reply_sent WHEN 1 THEN 'yes' WHEN 0 THEN 'no' END AS reply
FROM messages
WHERE run_id = :run_id
ORDER BY step;
