-- What the receiver of a range that does not fill its pages saw beside it, in bytes that are not zero.
SELECT step, case_name, observed AS actor, region, left_value AS stray,
       CASE verdict WHEN 'held' THEN 'zero' WHEN 'differs' THEN 'the sender''s' ELSE verdict END AS seen,
       detail
FROM checks
WHERE run_id = :run_id AND name = 'stray_bytes'
ORDER BY step;
