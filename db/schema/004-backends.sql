-- What the backend of a run can do and tell, as it said itself when the run was made, so that whoever
-- reads runs, reports first, asks for what it needs and not for a name: an object with
--   label           what people call it
--   page_states     "measured" or "concluded"
--   emulated        whether its times are an emulator's
--   actions         what a step could do there
--   memory          the kinds of memory that it had
--   unknown         quantities that its kernel has no interface for
-- Runs made before there was such a word have the first two.
ALTER TABLE run ADD COLUMN ability TEXT CHECK (ability IS NULL OR json_valid(ability));

-- Runs made before there was such a word.
UPDATE run SET ability = CASE backend
    WHEN 'linux' THEN '{"label":"Linux","page_states":"measured"}'
    WHEN 'gnumach' THEN '{"label":"GNU Mach","page_states":"concluded"}' END;

-- Where published results are measured again: the columns of a comparison, in order. Its contents
-- are text of the program (db/published/backends.sql).
CREATE TABLE published_backend (
    nr INTEGER PRIMARY KEY,
    backend TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    purgeable INTEGER NOT NULL CHECK (purgeable IN (0, 1)) -- has purgeable memory beside ordinary
) STRICT;

PRAGMA user_version = 4;
