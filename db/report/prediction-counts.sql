-- How many pages that a run wrote were what their states predict, in pages; none: no row. Of some the
-- kernel may decide either way; of others it was not seen.
SELECT sum(left_value) AS held, ifnull(sum(right_value - left_value), 0) AS failed,
       printf('%,d either way', sum(right_value) FILTER (WHERE left_value IS NULL))
           || iif(total(right_value) FILTER (WHERE left_value IS NULL) > 0,
                  printf(' (%.1f %%)', 100.0 * sum(right_value) FILTER (WHERE left_value IS NULL)
                                       / sum(right_value)), '') AS rest
FROM cross_check JOIN run USING (run)
WHERE run_id = :run_id AND name = 'prediction'
HAVING count(*) > 0;
