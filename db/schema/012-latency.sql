-- How long the single touches of a step took: a row for each histogram.
CREATE TABLE latency (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    -- 'step': all of it; of a snapshot 'before' it and 'during': from its taking until it was read
    part TEXT NOT NULL CHECK (part IN ('step', 'before', 'during')),
    -- Counted from the beginning of the touch, or from when it was due
    since TEXT NOT NULL CHECK (since IN ('touch', 'due')),
    actor TEXT NOT NULL,
    n INTEGER NOT NULL CHECK (n >= 0), -- touches
    max_ns INTEGER,                    -- the longest, exactly; NULL: there was none
    gap_ns INTEGER,                    -- the longest pause between two; NULL: there were no two
    cost_ns INTEGER NOT NULL,  -- what timing takes beside each touch
    empty_ns INTEGER NOT NULL, -- how long a touch of nothing seems to take: it is in each time
    PRIMARY KEY (run, step, part, since),
    FOREIGN KEY (run, step) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Its buckets that are not empty.
CREATE TABLE latency_bucket (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    part TEXT NOT NULL,
    since TEXT NOT NULL,
    low_ns INTEGER NOT NULL,  -- the shortest time in it
    high_ns INTEGER NOT NULL CHECK (high_ns >= low_ns), -- and the longest
    count INTEGER NOT NULL CHECK (count > 0),
    PRIMARY KEY (run, step, part, since, low_ns),
    FOREIGN KEY (run, step, part, since) REFERENCES latency ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- A copy of a region as it was at one moment, made while a thread went on writing it.
CREATE TABLE snapshot (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    actor TEXT NOT NULL,
    region TEXT NOT NULL,
    case_name TEXT,
    way TEXT NOT NULL,
    how TEXT, -- what the message layer did with the memory, where it is one of its ways
    pages INTEGER NOT NULL CHECK (pages > 0),
    rate INTEGER NOT NULL CHECK (rate >= 0), -- pages a second to write; 0: as many as can be
    cpus INTEGER NOT NULL CHECK (cpus IN (1, 2)), -- that writer and reader ran on
    still_ns INTEGER NOT NULL,   -- longest time around the taking that a touch was due and not done
    take_ns INTEGER NOT NULL,    -- the call or copy that took it
    readout_ns INTEGER NOT NULL, -- from then on until all of the copy was read
    torn_pages INTEGER NOT NULL CHECK (torn_pages BETWEEN 0 AND pages), -- of another moment
    inferred TEXT,
    copied_pages INTEGER, -- because of it, until it was read
    before_kb INTEGER, -- memory of the run before it, with what measuring takes
    peak_kb INTEGER,   -- ... and the most until it was read
    PRIMARY KEY (run, step),
    FOREIGN KEY (run, step) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 12;
