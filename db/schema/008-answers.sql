-- What a step says of its scenario's question, with what was seen in it. NULL where the scenario says
-- nothing, and in rows of before.
ALTER TABLE step ADD COLUMN answer TEXT;

PRAGMA user_version = 8;
