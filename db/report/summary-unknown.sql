-- What a run could not know, by reason, with what would unlock it, a line each.
SELECT printf('%d value%s (%s): %s', n, iif(n = 1, '', 's'), quantities, reason)
       || coalesce('. To know: ' || nullif(unlocks, ''), '') AS line
FROM unknown_reasons
WHERE run_id = :run_id
ORDER BY n DESC, reason;
