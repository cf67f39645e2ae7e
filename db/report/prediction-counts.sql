-- How many pages that a run wrote were what their states predict, in pages; none: no row.
SELECT total(held) AS held, total(failed) AS failed,
       printf('%,d either way', sum(either))
           || iif(sum(either), printf(' (%.3g %%)', 100.0 * sum(either) / sum(pages)), '')
           || iif(sum(hidden), printf(', %,d copied for a cause that does not show', sum(hidden)), '')
           || iif(sum(untold), printf(', %,d not told', sum(untold)), '') AS rest
FROM predictions
WHERE run_id = :run_id
HAVING count(*) > 0;
