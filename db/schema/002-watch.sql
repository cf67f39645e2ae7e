-- Watching live processes: a watch is a run (scenario 'watch') whose samples are steps, so that every
-- view and query works on it. Process and region rows are stored when they changed: a row holds
-- until the next one of the same process or region. Totals are stored with every sample, and with
-- them the sums over all processes, which can then not be taken from the rows.

ALTER TABLE process ADD COLUMN exclusive_kb INTEGER;
ALTER TABLE process ADD COLUMN shared_parent_kb INTEGER;
ALTER TABLE process ADD COLUMN debt_kb INTEGER;
ALTER TABLE process ADD COLUMN at_risk_kb INTEGER;
ALTER TABLE process ADD COLUMN copied_kb INTEGER;

ALTER TABLE step ADD COLUMN processes INTEGER;
ALTER TABLE step ADD COLUMN sum_rss_kb INTEGER;
ALTER TABLE step ADD COLUMN sum_pss_kb INTEGER;
ALTER TABLE step ADD COLUMN sum_uss_kb INTEGER;
ALTER TABLE step ADD COLUMN sum_pagetable_kb INTEGER;

-- Who was watched. A process is its pid and start time: a pid used again is another actor.
CREATE TABLE watch_process (
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    actor TEXT NOT NULL, -- "redis-server[1234]"
    pid INTEGER NOT NULL,
    start_ticks INTEGER NOT NULL, -- clock ticks after boot, field 22 of proc(5) stat
    parent TEXT,                  -- actor, or NULL if the parent is not watched
    name TEXT NOT NULL,
    command TEXT,
    first_step INTEGER NOT NULL,
    last_step INTEGER, -- NULL: alive at the last sample
    PRIMARY KEY (run, actor)
) STRICT, WITHOUT ROWID;

-- What happened between samples.
CREATE TABLE watch_event (
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    step INTEGER NOT NULL, -- the sample that noticed it
    nr INTEGER NOT NULL,
    actor TEXT,            -- NULL: the system or the cgroup
    kind TEXT NOT NULL CHECK (kind IN ('came', 'gone', 'fork', 'exec', 'cgroup', 'thp', 'note')),
    value INTEGER,         -- fork: latency in ns; cgroup: the counter; NULL: none
    text TEXT,
    PRIMARY KEY (run, step, nr)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 2;
