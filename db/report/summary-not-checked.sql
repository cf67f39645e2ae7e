-- Why expectations of a run were not checked, a line for each reason.
SELECT printf('%d: %s', count(*), coalesce(e.reason, 'the value is unknown')) AS line
FROM run JOIN expectation AS e USING (run)
WHERE run_id = :run_id AND e.result = 'not checked'
GROUP BY e.reason
ORDER BY count(*) DESC, e.reason;
