-- Why expectations of a run were not checked, a line for each reason.
SELECT printf('%d: %s', count(*), coalesce(reason, 'the value is unknown')) AS line
FROM expectations
WHERE run_id = :run_id AND result = 'not checked'
GROUP BY reason
ORDER BY count(*) DESC, reason;
