-- CPU time that a process used within the action of a step. NULL in rows of before.
ALTER TABLE process ADD COLUMN cpu_ns INTEGER;

-- Memory that changed hands by hand_over (part 'given') and take ('taken'), a row for each of the
-- two steps.
CREATE TABLE handover (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    part TEXT NOT NULL CHECK (part IN ('given', 'taken')),
    way TEXT NOT NULL,
    sender TEXT NOT NULL,
    receiver TEXT NOT NULL,
    region TEXT NOT NULL, -- as the step's actor calls it
    case_name TEXT,
    bytes INTEGER NOT NULL CHECK (bytes > 0),
    used INTEGER CHECK (used IN (0, 1)), -- taken: 1: into a region in use
    -- Who did in this step what the way takes; NULL: nobody yet
    acted TEXT CHECK (acted IN ('sender', 'receiver', 'both')),
    PRIMARY KEY (run, step),
    FOREIGN KEY (run, step) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 11;
