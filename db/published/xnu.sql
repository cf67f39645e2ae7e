-- Values published for XNU (macOS on 16 KiB pages) in the article on OOL data and virtual memory,
-- and for out-of-line memory what XNU's own rules (osfmk/vm/vm_map.c, vm_map_copyin; osfmk/ipc/
-- ipc_kmsg.c) predict. Recorded, not measured here. The published programs passed read|write, 3, as
-- flags of vm_allocate, which asks for purgeable memory: their rows are those of memory mode
-- purgeable; nothing was published about ordinary memory, so its rows have a prediction only.
--
-- What the article prints for one step or case is a row of `step` or `sent` and becomes a row per
-- measure, numbered on from nr.
DELETE FROM published_value WHERE source = 'XNU: article on OOL data and virtual memory';
-- place: in a row of `step` (the first three) or `sent`.
WITH measure(place, quantity, unit, compare) AS (VALUES
    (0, 'share_mode', 'word', 'exact'),
    (1, 'ref_count', 'count', 'exact'),
    (2, 'resident', 'pages', 'exact'),
    (3, 'region_size', 'bytes', 'pages'),
    (4, 'received_copy', 'word', 'exact'),
    (NULL, 'region_resident_bytes', 'bytes', 'exact'),
    (NULL, 'region_dirty_bytes', 'bytes', 'exact'),
    (NULL, 'physical_footprint_bytes', 'bytes', 'about'),
    (NULL, 'physical_footprint_peak_bytes', 'bytes', 'about'),
    (NULL, 'system_increase_bytes', 'bytes', 'about'),
    (NULL, 'protection', 'word', 'exact')),
-- Reasons that several rows share, by the word that stands for them there.
why(key, reason) AS (VALUES
    ('buffer', 'up to 32 KiB (XNU 8020.121.3 and later; 8019, the published version: less than two pages) a message carries its bytes through a kernel buffer, a physical copy whatever was asked; the fresh anonymous page merges with earlier ones beside it'),
    ('pages behind', 'resident counts pages behind the region, mapped here or not: all of them, although the receiver touched one'),
    ('dirty', 'every page was written before sending; neither Linux nor GNU Mach counts the modified pages of a mapping without disturbing them, so this is not measured'),
    ('copied', 'the sent memory was purgeable, so it was copied page by page'),
    ('touched', 'the sender has touched all it sent; compared as resident memory of the process, the rest of which is not the region'),
    ('mapped', 'XNU charges a footprint where a page is mapped: the receiver mapped one page and shows about 1 MB; that says nothing about sharing'),
    ('twice', 'the copy and the original are both there: the sent memory was purgeable, so it was copied page by page'),
    ('each side', 'charged where mapped: the sender touched both regions, the receiver one of them; compared as resident memory of the process'),
    ('just sent', 'the entry holds just what was sent'),
    ('merged', 'the page merged with the ones received before it: the size is that of the whole entry'),
    ('asked', 'the received descriptor repeats what the sender asked for, whatever was done'),
    ('raised', 'protection and the most it may be raised to, as vmmap prints them')),
-- fork-write, a region of one page.
step(nr, step_key, observed, share_mode, ref_count, resident, reason) AS (VALUES
    (1, 'map', 'parent', 'SM_EMPTY', 0, 0,
     'nothing has been touched: there is no page and no memory object behind the region yet'),
    (4, 'write', 'parent', 'SM_PRIVATE', 1, 1,
     'the first write made the page, and it is this process''s alone'),
    (7, 'fork', 'child', 'SM_COW', 2, 1,
     'after fork both processes see one page, and whoever writes first copies it'),
    (10, 'child-write', 'child', 'SM_PRIVATE', 1, 1,
     'the child''s write gave it a copy of its own'),
    (13, 'settle', 'parent', 'SM_COW', 1, 1,
     'the parent has the old page alone but is still marked to copy: XNU keeps needs_copy with one reference, Linux the write protection'),
    (16, 'parent-write', 'parent', 'SM_PRIVATE', 1, 1,
     'a sole owner''s write takes the page over: XNU and Linux copy nothing; GNU Mach copies the page, and then its old object goes')),
-- ool-options: what the receiver's entry shows; size: its pages.
sent(nr, memory, case_name, share_mode, ref_count, resident, size,
    reason) AS (VALUES
    (19, 'purgeable', 'VIRTUAL;PAGE;NO_FREE', 'SM_PRIVATE', 1, 1, 1, 'buffer'),
    (24, 'purgeable', 'VIRTUAL;PAGE;FREE', 'SM_PRIVATE', 1, 2, 2, 'buffer'),
    (29, 'purgeable', 'VIRTUAL;PAGEx16;NO_FREE', 'SM_PRIVATE', 1, 1, 16,
     'purgeable memory, which the published programs asked for, is copied page by page and untouched pages are skipped: that is where copy-on-write went'),
    (34, 'purgeable', 'VIRTUAL;PAGEx16;FREE', 'SM_PRIVATE', 1, 1, 16,
     'purgeable memory is copied page by page, untouched pages skipped, and then the source is removed'),
    (39, 'purgeable', 'PHYSICAL;PAGE;NO_FREE', 'SM_PRIVATE', 1, 3, 3, 'buffer'),
    (44, 'purgeable', 'PHYSICAL;PAGE;FREE', 'SM_PRIVATE', 1, 4, 4, 'buffer'),
    (49, 'purgeable', 'PHYSICAL;PAGEx16;NO_FREE', 'SM_COW', 1, 16, 16,
     'PHYSICAL without deallocate is staged through a kernel map: all 16 pages are made, and the map entry stays marked to copy (needs_copy)'),
    (54, 'purgeable', 'PHYSICAL;PAGEx16;FREE', 'SM_PRIVATE', 1, 1, 16,
     'purgeable memory is copied page by page, untouched pages skipped, and then the source is removed; deallocate makes PHYSICAL the same as VIRTUAL'),
    (59, 'ordinary', 'VIRTUAL;PAGE;NO_FREE', 'SM_PRIVATE', 1, 1, 1, 'buffer'),
    (64, 'ordinary', 'VIRTUAL;PAGE;FREE', 'SM_PRIVATE', 1, 2, 2, 'buffer'),
    (69, 'ordinary', 'VIRTUAL;PAGEx16;NO_FREE', 'SM_COW', 2, 1, 16,
     'ordinary memory gets one more reference on the same object and both sides copy on write: nothing is copied when sending'),
    (74, 'ordinary', 'VIRTUAL;PAGEx16;FREE', 'SM_COW', 1, 1, 16,
     'ordinary memory with deallocate: the object changes hands, marked to copy, with one reference left'),
    (79, 'ordinary', 'PHYSICAL;PAGE;NO_FREE', 'SM_PRIVATE', 1, 3, 3, 'buffer'),
    (84, 'ordinary', 'PHYSICAL;PAGE;FREE', 'SM_PRIVATE', 1, 4, 4, 'buffer'),
    (89, 'ordinary', 'PHYSICAL;PAGEx16;NO_FREE', 'SM_COW', 1, 16, 16,
     'PHYSICAL without deallocate is staged through a kernel map: all 16 pages are made, and the map entry stays marked to copy (needs_copy)'),
    (94, 'ordinary', 'PHYSICAL;PAGEx16;FREE', 'SM_COW', 1, 1, 16,
     'with deallocate PHYSICAL is carried out like VIRTUAL: the object changes hands, marked to copy, with one reference left')),
-- A value each.
single(nr, scenario, case_name, step_key, region_bytes, deallocate, observed, quantity, published,
    tolerance, reason) AS (VALUES
    (99, 'ool-large', '256MB', '256MB', 268435456, 0, 'sender', 'region_resident_bytes', 268435456, 0, 'pages behind'),
    (100, 'ool-large', '256MB', '256MB', 268435456, 0, 'sender', 'region_dirty_bytes', 268435456, 0, 'dirty'),
    (101, 'ool-large', '256MB', '256MB', 268435456, 0, 'sender', 'share_mode', 'SM_PRIVATE', 0, 'copied'),
    (102, 'ool-large', '256MB', '256MB', 268435456, 0, 'sender', 'ref_count', 1, 0, 'copied'),
    (103, 'ool-large', '256MB', '256MB', 268435456, 0, 'sender', 'physical_footprint_bytes', 269693747, 2097152, 'touched'),
    (104, 'ool-large', '256MB', '256MB', 268435456, 0, 'sender', 'physical_footprint_peak_bytes', 269693747, 2097152, 'touched'),
    (105, 'ool-large', '256MB', '256MB', 268435456, 0, 'receiver', 'region_resident_bytes', 268435456, 0, 'pages behind'),
    (106, 'ool-large', '256MB', '256MB', 268435456, 0, 'receiver', 'region_dirty_bytes', 268435456, 0, 'dirty'),
    (107, 'ool-large', '256MB', '256MB', 268435456, 0, 'receiver', 'share_mode', 'SM_PRIVATE', 0, 'copied'),
    (108, 'ool-large', '256MB', '256MB', 268435456, 0, 'receiver', 'ref_count', 1, 0, 'copied'),
    (109, 'ool-large', '256MB', '256MB', 268435456, 0, 'receiver', 'physical_footprint_bytes', 1065984, 2097152, 'mapped'),
    (110, 'ool-large', '256MB', '256MB', 268435456, 0, 'receiver', 'physical_footprint_peak_bytes', 1065984, 2097152, 'mapped'),
    (111, 'ool-large', '256MB;FREE', '256MB', 268435456, 1, 'sender', 'physical_footprint_peak_bytes', 268435456, 2097152, 'touched'),
    (112, 'ool-large', '256MB;FREE', '256MB', 268435456, 1, 'receiver', 'physical_footprint_bytes', 1065984, 2097152, 'mapped'),
    (113, 'ool-large', '2GB', '256MB', 2147483648, 0, 'system', 'system_increase_bytes', 4294967296, 268435456, 'twice'),
    (114, 'ool-two-large', '2x2GB', '2x2GB', 4294967296, 0, 'sender', 'physical_footprint_bytes', 4294967296, 8388608, 'each side'),
    (115, 'ool-two-large', '2x2GB', '2x2GB', 4294967296, 0, 'sender', 'physical_footprint_peak_bytes', 4294967296, 8388608, 'each side'),
    (116, 'ool-two-large', '2x2GB', '2x2GB', 4294967296, 0, 'receiver', 'physical_footprint_bytes', 2147483648, 8388608, 'each side'),
    (117, 'ool-two-large', '2x2GB', '2x2GB', 4294967296, 0, 'receiver', 'physical_footprint_peak_bytes', 2147483648, 8388608, 'each side'),
    (118, 'ool-two-large', '2x2GB', '2x2GB', 4294967296, 0, 'system', 'system_increase_bytes', 8589934592, 536870912, 'twice'),
    (119, 'ool-two-large', '2x2GB', '2x2GB', 4294967296, 0, 'both', 'share_mode', 'SM_PRIVATE', 0, 'copied'),
    (120, 'ool-two-large', '2x2GB', '2x2GB', 4294967296, 0, 'both', 'ref_count', 1, 0, 'copied'),
    (121, 'vmmap', '__TEXT', '__TEXT', NULL, NULL, 'process', 'share_mode', 'SM_COW', 0, 'program text is mapped privately from its file: whoever wrote would copy'),
    (122, 'vmmap', '__TEXT', '__TEXT', NULL, NULL, 'process', 'protection', 'r-x/r-x', 0, 'raised'),
    (123, 'vmmap', '__DATA', '__DATA', NULL, NULL, 'process', 'share_mode', 'SM_COW', 0, 'initialised data is mapped privately from its file and copied page by page when written'),
    (124, 'vmmap', '__DATA', '__DATA', NULL, NULL, 'process', 'protection', 'rw-/rw-', 0, 'raised'),
    (125, 'vmmap', 'VM_ALLOCATE', 'VM_ALLOCATE', NULL, NULL, 'process', 'share_mode', 'SM_PRIVATE', 0, 'memory that the process allocated is its own'),
    (126, 'vmmap', 'VM_ALLOCATE', 'VM_ALLOCATE', NULL, NULL, 'process', 'protection', 'rw-/rwx', 0, 'raised'),
    (127, 'vmmap', 'Stack', 'Stack', NULL, NULL, 'process', 'share_mode', 'SM_PRIVATE', 0, 'the stack is the process''s own'),
    (128, 'vmmap', 'Stack', 'Stack', NULL, NULL, 'process', 'protection', 'rw-/rwx', 0, 'raised')),
value AS (
    SELECT nr + place AS nr, 'fork-write' AS scenario, step_key AS case_name, step_key, NULL AS memory,
        NULL AS region_bytes, 1 AS region_pages, NULL AS deallocate, observed, quantity,
        CASE place WHEN 0 THEN share_mode WHEN 1 THEN ref_count ELSE resident END AS published,
        NULL AS predicted, 0 AS tolerance, reason
    FROM step JOIN measure ON place < 3
UNION ALL
    SELECT nr, 'ool-options', case_name, case_name, memory, NULL, NULL, NULL, 'receiver', quantity,
        CASE memory WHEN 'purgeable' THEN predicted END, predicted, 0, reason
    FROM (SELECT nr + place AS nr, case_name, memory, quantity,
            CASE place WHEN 0 THEN share_mode WHEN 1 THEN ref_count WHEN 2 THEN resident
                WHEN 3 THEN size * 16384 ELSE lower(substr(case_name, 1, instr(case_name, ';') - 1))
            END AS predicted,
            CASE place WHEN 3 THEN iif(size IN (1, 16), 'just sent', 'merged') WHEN 4 THEN 'asked'
                ELSE reason END AS reason
        FROM sent JOIN measure ON place < 5)
UNION ALL
    SELECT nr, scenario, case_name, step_key, NULL, region_bytes, NULL, deallocate, observed, quantity,
        published, NULL, tolerance, reason
    FROM single)
INSERT INTO published_value (nr, source, scenario, case_name, step_key, memory, region_bytes,
    region_pages, deallocate, observed, quantity, unit, page_size, published, predicted, compare,
    tolerance, reason)
SELECT nr, 'XNU: article on OOL data and virtual memory', scenario, case_name, step_key, memory,
    region_bytes, region_pages, deallocate, observed, quantity, unit, 16384, published, predicted,
    compare, tolerance, coalesce(why.reason, value.reason)
FROM value JOIN measure USING (quantity) LEFT JOIN why ON key = value.reason;
