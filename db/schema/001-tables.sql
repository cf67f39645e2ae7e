-- Tables of a cowlab database: what runs were made and what was seen after each step.
--
-- Every row begins with its run's key, a random 63-bit number, and no table has a row id of its
-- own: the rows of two machines merge by plain INSERT ... SELECT, table by table in this order.
-- Words are stored as text and held by CHECK lists; tests compare the lists with probes/words.h.
-- A value that the machine did not give is NULL and has a row in unknown; a value that does not
-- apply is NULL without one. Names of values that were concluded, not measured, stand in the
-- row's column `inferred`. Frames are numbered per run, physical addresses are never stored.
--
-- Query the views (900-views.sql), not these tables: the views keep their names and columns.

PRAGMA application_id = 0x636f776c; -- "cowl"

-- Which text of the views, word lists and published values this file carries (db/migrate.c).
CREATE TABLE content (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    hash TEXT NOT NULL
) STRICT;

-- Why a value is unknown: the rows of UNKNOWN_REASONS in probes/words.h, kept up to date by
-- db/migrate.c.
CREATE TABLE reason (
    code INTEGER PRIMARY KEY,
    reason TEXT NOT NULL,
    unlocks TEXT -- what would give the value, NULL if nothing would
) STRICT;

CREATE TABLE run (
    run INTEGER PRIMARY KEY CHECK (run > 0),
    -- YYYYMMDD-HHMMSS-<the key as 16 hex digits>, UTC
    run_id TEXT NOT NULL UNIQUE CHECK (run_id GLOB '????????-??????-????????????????'
                                       AND substr(run_id, 17) = printf('%016x', run)),
    scenario TEXT NOT NULL,
    title TEXT,
    question TEXT,
    backend TEXT NOT NULL,
    twin TEXT,    -- scenario that does the same the other way (fork or OOL)
    no_twin TEXT, -- or why there is none
    params TEXT NOT NULL CHECK (json_valid(params)),
    source TEXT,  -- the scenario's text
    kernel TEXT,
    machine TEXT CHECK (machine IS NULL OR json_valid(machine)),
    capabilities TEXT CHECK (capabilities IS NULL OR json_valid(capabilities)),
    page_size INTEGER NOT NULL CHECK (page_size > 0), -- bytes
    status TEXT NOT NULL CHECK (status IN ('running', 'complete', 'failed', 'interrupted', 'crashed')),
    started_at TEXT NOT NULL, -- UTC, ISO 8601 with microseconds
    duration_ns INTEGER,
    message TEXT, -- what went wrong, for status failed, interrupted, crashed
    -- Who writes this run, so that the next lab can tell a dead writer from a live one:
    -- process id, its start in clock ticks since boot, pid namespace, boot.
    lab_pid INTEGER,
    lab_start INTEGER,
    lab_namespace INTEGER,
    lab_boot TEXT
) STRICT;
CREATE INDEX run_by_scenario ON run (scenario, backend, status, started_at);
CREATE INDEX run_running ON run (run) WHERE status = 'running';

CREATE TABLE step (
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    step INTEGER NOT NULL CHECK (step > 0),
    phase TEXT NOT NULL CHECK (phase IN ('mapped', 'populated', 'in_transit', 'transferred',
        'received', 'receiver_read', 'receiver_wrote', 'sender_wrote', 'settled', 'released')),
    actor TEXT, -- who acted; NULL: a look without an action
    action TEXT NOT NULL,
    case_name TEXT,
    region TEXT,
    published TEXT,            -- key of the published row that this step reproduces
    start_ns INTEGER NOT NULL, -- CLOCK_MONOTONIC; a guest's own clock
    dur_ns INTEGER NOT NULL,   -- the action alone
    t_ns INTEGER NOT NULL,     -- when reading began
    inferred TEXT,
    system_source TEXT,        -- what system_kb is, in words
    -- Totals: what the system really uses. KiB.
    distinct_kb INTEGER,
    distinct_file_kb INTEGER,
    object_only_kb INTEGER,
    in_transit_kb INTEGER,
    superseded_kb INTEGER,
    system_kb INTEGER,
    system_tolerance_kb INTEGER,
    mem_free_kb INTEGER,
    mem_available_kb INTEGER,
    anon_pages_kb INTEGER,
    shmem_kb INTEGER,
    page_tables_kb INTEGER,
    committed_as_kb INTEGER,
    commit_limit_kb INTEGER,
    cgroup_limit_kb INTEGER,
    swap_free_kb INTEGER,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

-- What each live actor seems to use after a step.
CREATE TABLE process (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    nr INTEGER NOT NULL, -- order in the step, from 0
    actor TEXT NOT NULL,
    pid INTEGER,
    acting INTEGER NOT NULL CHECK (acting IN (0, 1)),
    inferred TEXT,
    rss_kb INTEGER,
    pss_kb INTEGER,
    uss_kb INTEGER,
    peak_kb INTEGER,
    pagetable_kb INTEGER,
    virtual_kb INTEGER,
    swap_kb INTEGER,
    minflt INTEGER,
    majflt INTEGER,
    cow_faults INTEGER,
    dur_ns INTEGER,
    minflt_total INTEGER,
    majflt_total INTEGER,
    PRIMARY KEY (run, step, nr),
    FOREIGN KEY (run, step) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- State of each observed region after a step. observed is an actor, or 'message' for memory in
-- transit. Page counts.
CREATE TABLE region (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    nr INTEGER NOT NULL,
    observed TEXT NOT NULL,
    region TEXT NOT NULL,
    case_name TEXT,
    range_start INTEGER, -- virtual addresses; NULL where there is no address (a message)
    range_end INTEGER,
    entry_start INTEGER,
    entry_end INTEGER,
    needs_copy INTEGER CHECK (needs_copy IN (0, 1)), -- Mach only
    runs_cut INTEGER NOT NULL CHECK (runs_cut IN (0, 1)), -- page_run holds only the first ones
    inferred TEXT,
    share_mode TEXT CHECK (share_mode IN ('SM_COW', 'SM_PRIVATE', 'SM_EMPTY', 'SM_SHARED',
        'SM_TRUESHARED', 'SM_PRIVATE_ALIASED', 'SM_SHARED_ALIASED', 'SM_LARGE_PAGE')),
    ref_count INTEGER,
    pages INTEGER,
    entry_pages INTEGER,
    resident INTEGER,
    mapped INTEGER,
    none INTEGER,
    zero INTEGER,
    exclusive INTEGER,
    cow INTEGER,
    debt INTEGER,
    object INTEGER,
    shared INTEGER,
    swapped INTEGER,
    huge INTEGER,
    at_risk INTEGER,
    outside INTEGER,
    write_outcome TEXT CHECK (write_outcome IN ('first_touch', 'copied', 'reused', 'no_fault',
        'mixed')),
    first_touch INTEGER,
    copied INTEGER,
    reused INTEGER,
    no_fault INTEGER,
    protection TEXT CHECK (protection IN ('---', 'r--', '-w-', 'rw-', '--x', 'r-x', '-wx', 'rwx')),
    inheritance TEXT CHECK (inheritance IN ('share', 'copy', 'none', 'zero')),
    PRIMARY KEY (run, step, nr),
    FOREIGN KEY (run, step) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Neighbouring pages of a region that look alike. Frames are numbered per run: page first + i
-- has frame + i.
CREATE TABLE page_run (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    nr INTEGER NOT NULL, -- of the region
    first INTEGER NOT NULL CHECK (first >= 0),
    count INTEGER NOT NULL CHECK (count > 0),
    state TEXT NOT NULL CHECK (state IN ('none', 'zero', 'exclusive', 'cow', 'debt', 'object',
        'shared', 'swapped', 'anon?')),
    frame INTEGER CHECK (frame > 0),       -- NULL: none or unknown
    mapcount INTEGER CHECK (mapcount >= 0), -- NULL: unknown
    huge INTEGER NOT NULL CHECK (huge IN (0, 1)),
    inferred INTEGER NOT NULL CHECK (inferred IN (0, 1)),
    PRIMARY KEY (run, step, nr, first),
    FOREIGN KEY (run, step, nr) REFERENCES region ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- The chain of memory objects behind a region, from the top down.
CREATE TABLE object (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    nr INTEGER NOT NULL, -- of the region
    depth INTEGER NOT NULL CHECK (depth >= 0),
    number INTEGER NOT NULL, -- numbered per run
    kind TEXT NOT NULL,
    refs INTEGER,
    size INTEGER,
    resident INTEGER,
    offset INTEGER, -- of the region's start in the object; these four in pages
    inferred TEXT,
    PRIMARY KEY (run, step, nr, depth),
    FOREIGN KEY (run, step, nr) REFERENCES region ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Resident pages of an object, as far as they are seen through the region.
CREATE TABLE object_run (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    nr INTEGER NOT NULL,
    depth INTEGER NOT NULL,
    first INTEGER NOT NULL CHECK (first >= 0),
    count INTEGER NOT NULL CHECK (count > 0),
    frame INTEGER CHECK (frame > 0),
    PRIMARY KEY (run, step, nr, depth, first),
    FOREIGN KEY (run, step, nr, depth) REFERENCES object ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Frames that two actors have in common.
CREATE TABLE shared_frames (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    nr INTEGER NOT NULL,
    actor_a TEXT NOT NULL,
    actor_b TEXT NOT NULL,
    region_frames INTEGER, -- in observed regions
    frames INTEGER,        -- in the whole processes
    inferred TEXT,
    PRIMARY KEY (run, step, nr),
    FOREIGN KEY (run, step) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Descriptors that a step sent or received.
CREATE TABLE transfer (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    nr INTEGER NOT NULL,
    sender TEXT NOT NULL,
    receiver TEXT,
    region TEXT,
    case_name TEXT,
    descriptor INTEGER NOT NULL, -- index in the message, from 0
    kind TEXT NOT NULL CHECK (kind IN ('port', 'ool', 'ool_ports', 'ool_volatile')),
    asked TEXT CHECK (asked IN ('virtual', 'physical')),
    received TEXT CHECK (received IN ('virtual', 'physical')), -- NULL in transit
    -- ports: 'made', 'copied', 'moved' by the sender's disposition, 'right' where one arrives;
    -- 'null': nothing was sent
    done TEXT CHECK (done IN ('virtual', 'physical', 'shared', 'copied', 'moved', 'made', 'right',
                              'null')),
    deallocate INTEGER CHECK (deallocate IN (0, 1)),
    size INTEGER NOT NULL, -- bytes; rights for port kinds
    why TEXT,              -- the rule that decided
    PRIMARY KEY (run, step, nr),
    FOREIGN KEY (run, step) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- The inline part of the message that a step received.
CREATE TABLE message (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    actor TEXT NOT NULL,
    id INTEGER NOT NULL,
    size INTEGER NOT NULL, -- bytes
    text TEXT,
    descriptors INTEGER NOT NULL,
    reply_sent INTEGER CHECK (reply_sent IN (0, 1)),
    PRIMARY KEY (run, step),
    FOREIGN KEY (run, step) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE expectation (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    nr INTEGER NOT NULL,
    observed TEXT NOT NULL, -- as in the scenario: "parent.r", "totals", ...
    key TEXT NOT NULL,
    expected TEXT NOT NULL,
    measured TEXT,
    result TEXT NOT NULL CHECK (result IN ('held', 'failed', 'not checked')),
    reason TEXT, -- why it was not checked
    line INTEGER,
    PRIMARY KEY (run, step, nr),
    FOREIGN KEY (run, step) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Why values of this step are NULL. quantity is the column that has no value; observed, region
-- and case_name say in which row, all NULL: in the step's totals.
CREATE TABLE unknown (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    nr INTEGER NOT NULL,
    observed TEXT,
    region TEXT,
    case_name TEXT,
    quantity TEXT NOT NULL,
    why INTEGER NOT NULL REFERENCES reason,
    PRIMARY KEY (run, step, nr),
    FOREIGN KEY (run, step) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Two sources for one fact.
CREATE TABLE cross_check (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    nr INTEGER NOT NULL,
    name TEXT NOT NULL,
    observed TEXT,
    region TEXT,
    case_name TEXT,
    left_value INTEGER,
    right_value INTEGER,
    tolerance INTEGER NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('held', 'differs', 'not checked')),
    detail TEXT,
    PRIMARY KEY (run, step, nr),
    FOREIGN KEY (run, step) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What looking cost.
CREATE TABLE cost (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    nr INTEGER NOT NULL,
    probe TEXT NOT NULL,
    dur_ns INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    faults_induced INTEGER,
    PRIMARY KEY (run, step, nr),
    FOREIGN KEY (run, step) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Values that others published or that follow from a kernel's source, and what to measure beside
-- them; rows from db/published/.
CREATE TABLE published_value (
    nr INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    scenario TEXT NOT NULL,
    case_name TEXT NOT NULL, -- what the source calls the row
    step_key TEXT NOT NULL,  -- `published` of the step that reproduces it
    memory TEXT CHECK (memory IN ('purgeable', 'ordinary')),
    region_bytes INTEGER,    -- only runs with regions of this size compare; NULL: any
    region_pages INTEGER,    -- the same in pages
    deallocate INTEGER CHECK (deallocate IN (0, 1)), -- only runs that sent so; NULL: any
    observed TEXT NOT NULL,
    quantity TEXT NOT NULL,
    unit TEXT NOT NULL CHECK (unit IN ('word', 'count', 'pages', 'bytes')),
    page_size INTEGER NOT NULL,
    published ANY, -- NULL: only predicted
    predicted ANY,
    compare TEXT NOT NULL CHECK (compare IN ('exact', 'pages', 'about')),
    tolerance INTEGER NOT NULL CHECK (tolerance >= 0), -- for about, in the unit
    reason TEXT NOT NULL
) STRICT;

-- Why a backend differs from published rows: the first row that fits gives the sentence.
CREATE TABLE published_difference (
    nr INTEGER PRIMARY KEY,
    backend TEXT NOT NULL,
    scenario TEXT NOT NULL,
    case_like TEXT NOT NULL,     -- LIKE pattern over case_name
    quantity_like TEXT NOT NULL, -- LIKE pattern over quantity
    observed TEXT,               -- NULL: any
    reason TEXT NOT NULL
) STRICT;

PRAGMA user_version = 1;
