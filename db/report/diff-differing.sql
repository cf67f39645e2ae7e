-- What differs, in the order of the steps; of long values the place where they part.
SELECT scenario, backend, params, step, phase, subject, quantity,
       CASE WHEN length(a) > 60 THEN '…' || substr(a, max(1, same - 14), 50) ELSE a END AS a,
       CASE WHEN length(b) > 60 THEN '…' || substr(b, max(1, same - 14), 50) ELSE b END AS b
FROM (SELECT rowid, *,
             -- Characters that both begin with, by halving.
             (WITH RECURSIVE part (low, high) AS (
                  SELECT 0, max(length(a), 1)
                  UNION ALL
                  SELECT CASE WHEN substr(a, 1, (low + high + 1) / 2) IS
                                   substr(b, 1, (low + high + 1) / 2)
                         THEN (low + high + 1) / 2 ELSE low END,
                         CASE WHEN substr(a, 1, (low + high + 1) / 2) IS
                                   substr(b, 1, (low + high + 1) / 2)
                         THEN high ELSE (low + high + 1) / 2 - 1 END
                  FROM part WHERE low < high)
              SELECT max(low) FROM part) AS same
      FROM diff_found WHERE verdict = 'differs' ORDER BY rowid LIMIT 100)
ORDER BY rowid
