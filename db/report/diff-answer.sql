-- How much was compared, and how much of it differs.
SELECT count(*) AS compared, sum(verdict = 'differs') AS differ,
       (SELECT count(DISTINCT scenario || char(10) || backend || char(10) || params)
        FROM diff_found) AS combinations
FROM diff_found WHERE verdict IN ('same', 'differs')
