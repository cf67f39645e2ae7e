-- The two sides: how many runs speak for each, and where they ran.
SELECT CASE side WHEN 0 THEN 'A' ELSE 'B' END AS side, own_backend AS backend, kernels, machines,
       CASE count(*) WHEN 1 THEN max(own_params) ELSE count(*) || ' sets' END AS params,
       sum(n) AS runs, sum(cut_short) AS cut_short
FROM diff_side GROUP BY side, own_backend, kernels, machines ORDER BY side, own_backend, kernels, machines
