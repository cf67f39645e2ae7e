-- What a watched process lost in common with its parent because one of them wrote, counted as it
-- happens: what it had most and has last differ also by what was given back, unmapped, or went with
-- an address space. NULL in rows of before, and where frames were not visible.

ALTER TABLE process ADD COLUMN lost_kb INTEGER;    -- since the process's row before this one
ALTER TABLE watch_region ADD COLUMN lost INTEGER;  -- pages since the mapping's row before this one

PRAGMA user_version = 5;
