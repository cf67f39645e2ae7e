-- What a watch stores beside processes and totals: figures of the sample itself, and of each
-- mapping of which it stores a row in region. Which mappings those are the watch decides
-- (lab/watch/keep.h): a mapping is as its latest row says.

CREATE TABLE watch_sample (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    dur_ns INTEGER NOT NULL, -- what looking took
    growth_kb INTEGER,       -- new memory if every page at risk is written
    copied_kb INTEGER,       -- of all processes since the sample before
    anon_huge_kb INTEGER,
    cgroup_kb INTEGER,       -- memory cgroup of the first process; others may be in it too
    cgroup_high INTEGER,     -- its events so far
    cgroup_max INTEGER,
    cgroup_oom INTEGER,
    cgroup_oom_kill INTEGER,
    thp TEXT,                -- transparent huge pages: always, madvise, never
    inferred INTEGER NOT NULL CHECK (inferred IN (0, 1)), -- exclusive and debt are concluded
    regions_waiting INTEGER NOT NULL, -- changed mappings left for a later sample
    PRIMARY KEY (run, step),
    FOREIGN KEY (run, step) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- nr: that of the mapping's row in region.
CREATE TABLE watch_region (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    nr INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('program text', 'program const', 'program data', 'bss',
        'library text', 'library const', 'library data', 'heap', 'malloc arena', 'stack',
        'thread stack', 'anonymous', 'mapped file', 'shared memory', 'huge pages', 'kernel',
        'guard')),
    part TEXT NOT NULL,   -- the kind in a sentence about where sharing was lost
    parent_pages INTEGER, -- frames in common with the parent at the same addresses
    copied INTEGER,       -- pages since the mapping's row before this one
    gone INTEGER NOT NULL CHECK (gone IN (0, 1)), -- the mapping is no longer there
    bins TEXT,            -- parent_pages by address: 64 equal parts, each a digit 0 (none) to 9 (all)
    PRIMARY KEY (run, step, nr),
    FOREIGN KEY (run, step, nr) REFERENCES region ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 3;
