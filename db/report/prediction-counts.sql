-- How many pages that a run wrote were what their states predict, in pages; none: no row. Of some the
-- kernel may decide either way; some were copied though in debt, for a cause that cannot be seen.
SELECT held, failed,
       printf('%,d either way', either) || iif(either > 0, printf(' (%.1f %%)', 100.0 * either / pages), '')
           || iif(hidden > 0, printf(', %,d copied for a cause that does not show', hidden), '') AS rest
FROM (SELECT count(*) AS n, ifnull(sum(c.left_value), 0) AS held,
             ifnull(sum(c.right_value - c.left_value), 0) AS failed, sum(c.right_value) AS pages,
             CAST(total(c.right_value) FILTER (WHERE c.left_value IS NULL
                                               AND c.detail NOT LIKE 'debt %') AS INTEGER) AS either,
             CAST(total(c.right_value) FILTER (WHERE c.left_value IS NULL
                                               AND c.detail LIKE 'debt %') AS INTEGER) AS hidden
      FROM cross_check AS c JOIN run USING (run)
      WHERE run_id = :run_id AND c.name = 'prediction')
WHERE n > 0;
