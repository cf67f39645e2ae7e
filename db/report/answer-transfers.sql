-- The out-of-line transfers of a run in words: what was asked and what was done.
SELECT group_concat(line, ', ') AS line
FROM (SELECT count(*) || ' asked ' || coalesce(asked, 'nothing in particular') || ' and '
             || iif(count(*) = 1, 'was ', 'were ') || coalesce(done, 'treated in an unknown way') AS line
      FROM transfers
      WHERE run_id = :run_id AND kind IN ('ool', 'ool_volatile')
      GROUP BY asked, done
      ORDER BY asked DESC, count(*) DESC, done);
