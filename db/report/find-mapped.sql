-- Regions with the most pages in memory behind them that are not in their process's page table: one
-- per run.
SELECT scenario, backend, step, observed, resident, mapped, resident_inferred,
       mapped_inferred
FROM (SELECT r.run_id, r.scenario, r.backend, g.step,
             g.observed || '.' || g.region || coalesce('#' || g.case_name, '') AS observed,
             g.resident, g.mapped, instr(' ' || g.inferred || ' ', ' resident ') > 0 AS resident_inferred,
             instr(' ' || g.inferred || ' ', ' mapped ') > 0 AS mapped_inferred,
             row_number() OVER (PARTITION BY g.run ORDER BY g.resident - g.mapped DESC, g.step, g.nr)
                 AS rank
      FROM run AS r JOIN region AS g USING (run)
      WHERE r.run_id IN (SELECT value FROM json_each(:runs)) AND r.scenario <> 'watch'
        AND g.observed <> 'message'
        AND g.resident > g.mapped)
WHERE rank = 1
ORDER BY resident - mapped DESC, scenario, backend, run_id;
