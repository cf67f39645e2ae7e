-- Writes whose outcome is unknown, and why.
SELECT count(*) AS writes, group_concat(DISTINCT w.reason) AS reasons
FROM run AS r JOIN step AS s USING (run) JOIN unknown AS u USING (run, step)
     JOIN reason AS w ON w.code = u.why
WHERE r.run_id IN (SELECT value FROM json_each(:runs)) AND u.quantity = 'write_outcome'
  AND u.observed = s.actor;
