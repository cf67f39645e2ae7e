-- Per backend: transfers of ranges that do not fill their pages, and what the receiver saw beside them.
SELECT r.backend, count(*) AS tried, count(*) FILTER (WHERE c.verdict = 'differs') AS showed,
       coalesce(sum(c.left_value) FILTER (WHERE c.verdict = 'differs'), 0) AS bytes,
       group_concat(r.scenario || ' step ' || c.step || coalesce(' (' || c.case_name || ')', ''), ', ')
           FILTER (WHERE c.verdict = 'differs') AS places
FROM run AS r JOIN cross_check AS c USING (run)
WHERE r.run_id IN (SELECT value FROM json_each(:runs)) AND c.name = 'stray_bytes'
      AND c.verdict <> 'not checked'
GROUP BY r.backend
ORDER BY r.backend;
