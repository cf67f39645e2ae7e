-- What the receiver of a range that does not fill its pages saw beside it, in bytes that are not zero.
SELECT step, case_name, actor, region, stray, seen, detail
FROM stray_bytes
WHERE run_id = :run_id
ORDER BY step;
