-- Values that others published beside values measured here. `measured` is read from the
-- observations of the latest complete run that compares (same scenario, memory mode and region
-- size), never from a concluded value. `resident` and `region_size` are those of the whole kernel
-- entry, as in the source. Lengths compare in pages, so that 16 KiB there may be 4 KiB here.
--   source: where it was published
--   case_name: what the source calls the row
--   memory: `purgeable` (what the published programs used), `ordinary` (nothing was published:
--     predicted only), or NULL
--   observed: from where it was seen
--   quantity: what
--   unit: `word`, `count`, `pages`, `bytes`
--   page_size: of the source
--   published: the published value; NULL: none
--   predicted: what the source kernel's own rules give; NULL: none
--   backend: where measured; NULL: not yet
--   measured: the value; NULL: not measured
--   same: 1: measured is as published (or, if nothing was published, as predicted); 0: it is not;
--     NULL: not measured: unknown if there is a `run_id`, else not run
--   reason: why the row is as it is, or why this backend differs
--   run_page_size: bytes in a page of the run
--   compare: `exact`, `pages` (lengths in pages) or `about` (within the tolerance)
--   tolerance: for about, in the unit
--   nr: order of the row
--   verdict: `same`, `differs`, `not known here`, `not run`
CREATE VIEW published AS
-- `resident` sums the observed regions of one entry. `claimed` is what a row says must come out:
-- published, or for memory that nobody published about, predicted.
WITH candidate AS (
    SELECT v.nr, r.run, row_number() OVER (PARTITION BY v.nr, r.backend
                                           ORDER BY r.started_at DESC, r.run_id DESC) AS age
    FROM published_value v
         JOIN newest_runs r ON r.scenario = v.scenario
              AND (v.memory IS NULL OR json_extract(r.params, '$.memory') IS v.memory)
              AND (v.region_bytes IS NULL OR r.region_bytes = v.region_bytes)
              AND (v.region_pages IS NULL OR r.region_bytes = v.region_pages * r.page_size)
              AND (v.deallocate IS NULL OR v.deallocate = (SELECT max(t.deallocate)
                                                           FROM transfer t JOIN step s USING (run, step)
                                                           WHERE t.run = r.run
                                                             AND s.action = 'ool_send'))),
place AS (
    SELECT v.*, r.run, r.run_id, r.backend, r.page_size AS run_page_size, s.step, s.case_name AS scase,
           (SELECT g.nr FROM region g
            WHERE g.run = s.run AND g.step = s.step AND g.observed = v.observed
              AND g.case_name IS s.case_name AND (s.region IS NULL OR g.region = s.region)
            ORDER BY g.nr LIMIT 1) AS region_nr
    FROM published_value v
         LEFT JOIN candidate c ON c.nr = v.nr AND c.age = 1
         LEFT JOIN run r ON r.run = c.run
         LEFT JOIN step s ON s.run = c.run AND s.published IN (v.step_key, v.case_name)),
seen AS (
    SELECT p.*,
           CASE
           WHEN instr(' ' || ifnull(g.inferred, '') || ' ', ' ' || p.quantity || ' ') THEN NULL
           WHEN p.observed = 'both' AND p.quantity = 'share_mode' THEN
               (SELECT group_concat(DISTINCT h.share_mode) FROM region h
                WHERE h.run = p.run AND h.step = p.step AND h.observed <> 'message')
           WHEN p.observed = 'both' AND p.quantity = 'ref_count' THEN
               (SELECT CASE WHEN min(h.ref_count) = max(h.ref_count) THEN min(h.ref_count)
                       ELSE min(h.ref_count) || '..' || max(h.ref_count) END FROM region h
                WHERE h.run = p.run AND h.step = p.step AND h.observed <> 'message')
           WHEN p.quantity = 'share_mode' THEN g.share_mode
           WHEN p.quantity = 'ref_count' THEN g.ref_count
           WHEN p.quantity = 'resident' AND g.entry_start IS NULL THEN g.resident
           WHEN p.quantity = 'resident' THEN
               (SELECT CASE WHEN count(h.resident) = count(*)
                             AND NOT max(instr(' ' || ifnull(h.inferred, '') || ' ', ' resident '))
                       THEN sum(h.resident) END FROM region h
                WHERE h.run = g.run AND h.step = g.step AND h.observed = g.observed
                  AND h.entry_start = g.entry_start)
           WHEN p.quantity = 'region_size' THEN g.entry_pages * p.run_page_size
           WHEN p.quantity = 'region_resident_bytes' THEN g.resident * p.run_page_size
           WHEN p.quantity = 'protection' THEN g.protection
           WHEN p.quantity = 'received_copy' THEN
               (SELECT t.received FROM transfer t
                WHERE t.run = p.run AND t.step = p.step AND t.case_name IS p.scase
                ORDER BY t.nr LIMIT 1)
           WHEN p.quantity = 'physical_footprint_bytes' THEN f.rss_kb * 1024
           WHEN p.quantity = 'physical_footprint_peak_bytes' THEN f.peak_kb * 1024
           WHEN p.quantity = 'system_increase_bytes' THEN
               (SELECT (b.system_kb - a.system_kb) * 1024 FROM step a JOIN step b USING (run)
                WHERE a.run = p.run AND b.step = p.step
                  AND a.step = (SELECT min(step) FROM step WHERE run = p.run))
           END AS measured,
           coalesce(p.published, p.predicted) AS claimed
    FROM place p
         LEFT JOIN region g ON g.run = p.run AND g.step = p.step AND g.nr = p.region_nr
         LEFT JOIN process f ON f.run = p.run AND f.step = p.step AND f.actor = p.observed)
SELECT source, scenario, case_name, memory, observed, quantity, unit, page_size, published,
       predicted, backend, run_id, step, measured, same,
       CASE same WHEN 0 THEN
           coalesce((SELECT d.reason FROM published_difference d
                     WHERE d.backend = x.backend AND d.scenario = x.scenario
                       AND x.case_name LIKE d.case_like AND x.quantity LIKE d.quantity_like
                       AND (d.observed IS NULL OR d.observed = x.observed)
                     ORDER BY d.nr LIMIT 1), reason)
       ELSE reason END AS reason,
       run_page_size, compare, tolerance, nr,
       coalesce(CASE same WHEN 1 THEN 'same' WHEN 0 THEN 'differs' END,
                iif(run_id IS NULL, 'not run', 'not known here')) AS verdict
FROM (SELECT *, CASE compare
                WHEN 'exact' THEN measured = claimed
                WHEN 'pages' THEN measured * page_size = claimed * run_page_size
                ELSE abs(measured - claimed) <= tolerance END AS same
      FROM seen) x
ORDER BY nr, backend;

-- Of each published place of `published` the three values that tell how memory is shared, as one
-- text: share mode, references, resident pages. A `?` is unknown.
--   case_name: what the source calls the place
--   memory: as in `published`
--   observed: from where it was seen
--   backend: where measured; NULL: not yet
--   nr: order of the row
--   published: the published text; NULL: none
--   predicted: what the source kernel's own rules give; NULL: none
--   measured: what was measured; NULL: not run
--   verdict: `same`, `differs` (in one of the three at least), `in part unknown`; NULL: not run
--   reason: why the values are as they are, where the share mode does not differ
CREATE VIEW published_places AS
SELECT scenario, case_name, memory, observed, backend, min(nr) AS nr,
       max(published) FILTER (WHERE quantity = 'share_mode') || ', '
       || max(published) FILTER (WHERE quantity = 'ref_count') || ', '
       || max(published) FILTER (WHERE quantity = 'resident') AS published,
       max(predicted) FILTER (WHERE quantity = 'share_mode') || ', '
       || max(predicted) FILTER (WHERE quantity = 'ref_count') || ', '
       || max(predicted) FILTER (WHERE quantity = 'resident') AS predicted,
       CASE WHEN max(step) IS NOT NULL THEN
           coalesce(max(measured) FILTER (WHERE quantity = 'share_mode'), '?') || ', '
           || coalesce(max(measured) FILTER (WHERE quantity = 'ref_count'), '?') || ', '
           || coalesce(max(measured) FILTER (WHERE quantity = 'resident'), '?') END AS measured,
       CASE WHEN max(step) IS NULL THEN NULL WHEN min(same) = 0 THEN 'differs'
            WHEN count(same) = count(*) THEN 'same' ELSE 'in part unknown' END AS verdict,
       max(reason) FILTER (WHERE quantity = 'share_mode' AND same IS NOT 0) AS reason
FROM published
WHERE quantity IN ('share_mode', 'ref_count', 'resident')
GROUP BY scenario, case_name, memory, observed, backend
ORDER BY min(nr), backend;

-- What the published experiments left open, with the answer. What runs have to say about each is in
-- `db/report/questions.sql`, which a report shows first.
--   nr: order of the row
--   question: in a sentence
--   verdict: the answer
--   source: where it stands in the kernels' sources
CREATE VIEW published_questions (nr, question, verdict, source) AS VALUES
    (1, 'Where did copy-on-write go in row 3 (virtual, 16 pages, kept)?',
     'The published programs passed 3, read and write, as the flags of vm_allocate, where it asks for purgeable memory: XNU copies that page by page when it is sent, the one touched page only (SM_PRIVATE, 1 reference, 1 page). With ordinary memory copy-on-write is there: XNU''s own rules predict SM_COW, 2 references, 1 page.',
     'XNU osfmk/mach/vm_statistics.h (VM_FLAGS_PURGABLE), osfmk/vm/vm_map.c (vm_map_copyin)'),
    (2, 'Why does row 7 (physical, 16 pages, kept) read SM_COW with 16 pages?',
     'A physical copy of this size that keeps its source is staged through a kernel map: all 16 pages are made there, touched or not, and the map entry handed over stays marked to copy (needs_copy), which reads as SM_COW. Its 1 reference says that nobody shares it.',
     'XNU osfmk/ipc/ipc_kmsg.c, osfmk/vm/vm_map.c'),
    (3, 'Why does a receiver of 256 MB show 1 MB?',
     'XNU charges a footprint where a page is mapped. The copy made at the send has no owner and is mapped by nobody until it is touched, so it is on nobody''s ledger, though the system holds all of it; the 1 MB is the process itself and what it touched.',
     'XNU 8019 osfmk/vm/vm_resident.c:1987, osfmk/arm/pmap.c:6287, osfmk/vm/vm_map.c:15096'),
    (4, 'Why did two regions of 2 GB make 8 GB?',
     'The memory was purgeable, so all of it was copied at the send: 2 x 2 GB sent and 2 x 2 GB copied; the receiver''s later write adds nothing. With ordinary memory the send adds nothing and the writes do: the sender''s second write of everything reaches 8 GB too, but leaves the region that the receiver only read SM_COW, where SM_PRIVATE is published.',
     'XNU osfmk/vm/vm_map.c (vm_map_copyin); the published share modes'),
    (5, 'What does the fifth row of fork mean (SM_COW with one reference)?',
     'Copy-on-write debt: the parent is alone with the page, which is still marked to copy. Its next write takes a fault; XNU and Linux then keep the page and copy nothing, GNU Mach copies it.',
     'XNU osfmk/vm/vm_object.c (vm_object_shadow: none for a sole reference); Linux mm/memory.c (do_wp_page)'),
    (6, 'Does the copy field of a received descriptor say what was done?',
     'No, it repeats what the sender asked for. What is small or purgeable is copied and ordinary memory that is given away is moved, whatever was asked.',
     'XNU osfmk/ipc/ipc_kmsg.c');
