-- What a run could not know, by reason, with what would unlock it, a line each.
SELECT printf('%d value%s (%s): %s', count(*), iif(count(*) = 1, '', 's'),
              (SELECT group_concat(quantity, ', ')
               FROM (SELECT DISTINCT quantity FROM unknown AS d
                     WHERE d.run = u.run AND d.why = u.why ORDER BY quantity)),
              r.reason)
       || coalesce('. To know: ' || nullif(r.unlocks, ''), '') AS line
FROM run JOIN unknown AS u USING (run) JOIN reason AS r ON r.code = u.why
WHERE run_id = :run_id
GROUP BY u.why
ORDER BY count(*) DESC, u.why;
