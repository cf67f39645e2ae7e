-- Per backend: transfers of ranges that do not fill their pages, and what the receiver saw beside them.
WITH tried AS MATERIALIZED (
    SELECT t.* FROM json_each(:runs) JOIN stray_bytes AS t ON run_id = value
    WHERE seen <> 'not checked' ORDER BY t.scenario, t.run_id, t.step)
SELECT backend, count(*) AS tried, count(*) FILTER (WHERE seen = 'the sender''s') AS showed,
       total(stray) FILTER (WHERE seen = 'the sender''s') AS bytes,
       group_concat(scenario || ' step ' || step || coalesce(' (' || case_name || ')', ''), ', ')
           FILTER (WHERE seen = 'the sender''s') AS places
FROM tried
GROUP BY backend
ORDER BY backend;
