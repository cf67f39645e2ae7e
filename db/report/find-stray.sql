-- Per backend: transfers of ranges that do not fill their pages, and what the receiver saw beside them.
SELECT backend, count(*) AS tried, count(*) FILTER (WHERE seen = 'the sender''s') AS showed,
       total(stray) FILTER (WHERE seen = 'the sender''s') AS bytes,
       group_concat(scenario || ' step ' || step || coalesce(' (' || case_name || ')', ''), ', ')
           FILTER (WHERE seen = 'the sender''s') AS places
FROM stray_bytes
WHERE run_id IN (SELECT value FROM json_each(:runs)) AND seen <> 'not checked'
GROUP BY backend
ORDER BY backend;
