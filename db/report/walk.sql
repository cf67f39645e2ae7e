-- The steps of a run for the page's slider (reports/page/page.js), each as one JSON object. A region's pages are runs
-- [first, pages, state, frame]; of more than 64 pages, one for each state in each of at most 64 cells, without frames.
-- An object's are [first, pages, frame], no more than 256 of them, and how many more there are.
WITH RECURSIVE cell(cell) AS (SELECT 0 UNION ALL SELECT cell + 1 FROM cell WHERE cell < 63)
SELECT s.step, json_object('n', s.step, 'phase', s.phase, 'case', s.case_name,
  'processes', json((SELECT json_group_array(json_object('name', actor, 'rss', rss_kb, 'pss', pss_kb, 'uss', uss_kb,
      'unknown', (SELECT group_concat(quantity, ' ') FROM unknown AS u
                  WHERE u.run = p.run AND u.step = p.step AND u.region IS NULL AND u.observed = p.actor)))
    FROM (SELECT * FROM process WHERE run = s.run AND step = s.step ORDER BY nr) AS p)),
  'regions', json((SELECT json_group_array(json_object('in', observed, 'of', region, 'case', case_name, 'pages', pages, 'per', per,
      'mode', share_mode, 'refs', ref_count, 'resident', resident, 'risk', at_risk, 'needs', needs_copy,
      'wrote', json_array(first_touch, copied, reused, no_fault, swapped_in), 'inferred', inferred,
      'unknown', (SELECT group_concat(quantity, ' ') FROM unknown AS u WHERE u.run = r.run AND u.step = r.step
                  AND u.observed = r.observed AND u.region = r.region AND u.case_name IS r.case_name),
      'told', (SELECT max(first + count) FROM page_run AS p
               WHERE r.runs_cut AND p.run = r.run AND p.step = r.step AND p.nr = r.nr),
      'cells', json((SELECT json_group_array(json_array(first, count, state, frame)) FROM (
          SELECT first, count, state, frame FROM page_run AS p
          WHERE per = 1 AND p.run = r.run AND p.step = r.step AND p.nr = r.nr
          UNION ALL
          SELECT cell * per, sum(min(first + count, (cell + 1) * per) - max(first, cell * per)), state, NULL
          FROM page_run AS p JOIN cell ON cell BETWEEN first / per AND (first + count - 1) / per
          WHERE per > 1 AND p.run = r.run AND p.step = r.step AND p.nr = r.nr GROUP BY cell, state))),
      'chain', json((SELECT json_group_array(json_object('n', number, 'kind', kind, 'refs', refs, 'size', size, 'resident', resident,
          'more', max(0, (SELECT count(*) FROM object_run AS f WHERE f.run = o.run AND f.step = o.step AND f.nr = o.nr
                          AND f.depth = o.depth) - 256),
          'runs', json((SELECT json_group_array(json_array(first, count, frame)) FROM (
              SELECT first, count, frame FROM object_run AS f
              WHERE f.run = o.run AND f.step = o.step AND f.nr = o.nr AND f.depth = o.depth ORDER BY first LIMIT 256)))))
        FROM (SELECT * FROM object AS o WHERE o.run = r.run AND o.step = r.step AND o.nr = r.nr ORDER BY depth) AS o))))
    FROM (SELECT *, max(1, (coalesce(pages, 0) + 63) / 64) AS per FROM region
          WHERE run = s.run AND step = s.step ORDER BY nr) AS r))) AS json
FROM step AS s WHERE s.run = (SELECT run FROM run WHERE run_id = :run_id) ORDER BY s.step
