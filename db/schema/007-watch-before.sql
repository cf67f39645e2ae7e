-- Between the fork and the first sample that saw the child nobody was watching: at most how much of
-- what it had in common with its parent had been lost by then. In a process's first row of a watch;
-- NULL in rows of before.
ALTER TABLE process ADD COLUMN lost_before_kb INTEGER;

-- Whether it (or its parent) had executed a program since the fork when it was seen first: 1, 0, NULL
-- not known. Later ones are events.
ALTER TABLE watch_process ADD COLUMN own_program INTEGER CHECK (own_program IN (0, 1));

PRAGMA user_version = 7;
