-- Out-of-line transfers: what was asked and what was done, counted.
SELECT asked, sum(n) AS transfers, group_concat(n || ' ' || done, ', ') AS outcomes
FROM (SELECT coalesce(asked, 'for nothing in particular') AS asked, coalesce(done, 'unknown') AS done,
             count(*) AS n
      FROM transfers
      WHERE run_id IN (SELECT value FROM json_each(:runs)) AND kind IN ('ool', 'ool_volatile')
      GROUP BY 1, 2
      ORDER BY asked DESC, n DESC, done)
GROUP BY asked
ORDER BY asked DESC;
