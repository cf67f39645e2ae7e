-- Each descriptor that was sent in a run: what was asked, what arrived, what was done and why.
SELECT step, case_name, sender, coalesce(receiver, 'in transit') AS receiver, region, kind, size,
       asked, received, done, CASE deallocate WHEN 1 THEN 'yes' WHEN 0 THEN 'no' END AS deallocate,
       why
FROM transfers
WHERE run_id = :run_id
ORDER BY step, descriptor;
