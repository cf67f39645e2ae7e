-- What was found, value by value, in the combinations that both sides have (diff_fact: their
-- facts, side 0 and 1). What is known on one side alone tells nothing, and where the runs of a
-- side differ among themselves, nor do ranges that meet. Which pages they are is told where their
-- counts agree. Backends do not have all the same quantities: what one does not have is unknown,
-- and so is what a run that was cut short did not come to.
CREATE TEMP TABLE diff_found AS
WITH both AS (
    SELECT scenario, backend, params, count(DISTINCT own_backend) = 2 OR sum(cut_short) AS crossed
    FROM diff_side GROUP BY 1, 2, 3 HAVING count(*) = 2),
beside AS (
    SELECT scenario, backend, params, step, max(phase) AS phase, subject, nr, quantity, rank,
           crossed, count(*) AS sides, count(low) AS known,
           max(low) FILTER (WHERE side = 0) AS low_a, max(high) FILTER (WHERE side = 0) AS high_a,
           max(low) FILTER (WHERE side = 1) AS low_b, max(high) FILTER (WHERE side = 1) AS high_b,
           min(side) AS first
    FROM both JOIN diff_fact USING (scenario, backend, params)
    GROUP BY scenario, backend, params, step, subject, nr, quantity),
judged AS (
    SELECT *, CASE WHEN known < sides OR (sides = 1 AND crossed) THEN 'unknown'
                   WHEN sides = 1 OR high_a < low_b OR high_b < low_a THEN 'differs'
                   ELSE 'same' END AS verdict
    FROM beside)
SELECT scenario, backend, params, step, phase, subject, nr, quantity, rank,
       CASE WHEN sides = 1 AND first = 1 THEN '-' WHEN low_a = high_a THEN low_a
            ELSE low_a || ' to ' || high_a END AS a,
       CASE WHEN sides = 1 AND first = 0 THEN '-' WHEN low_b = high_b THEN low_b
            ELSE low_b || ' to ' || high_b END AS b,
       CASE WHEN verdict = 'differs' AND rank = 2
             AND max(verdict = 'differs' AND rank < 2) OVER (
                 PARTITION BY scenario, backend, params, step, subject, nr) THEN 'told'
            ELSE verdict END AS verdict
FROM judged
ORDER BY scenario, backend, params, step, subject, nr, rank, quantity
