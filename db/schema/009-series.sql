-- A series: one command that carried out scenarios many times, for measurements with a spread.

CREATE TABLE series (
    series INTEGER PRIMARY KEY CHECK (series > 0),
    -- series-YYYYMMDD-HHMMSS-<the key as 16 hex digits>, UTC
    series_id TEXT NOT NULL UNIQUE CHECK (series_id GLOB 'series-????????-??????-????????????????'
                                          AND substr(series_id, 24) = printf('%016x', series)),
    started_at TEXT NOT NULL, -- UTC, ISO 8601 with microseconds
    seed INTEGER NOT NULL,    -- of the order in which its runs were carried out
    repeat INTEGER NOT NULL CHECK (repeat > 0), -- counted runs of each combination
    planned INTEGER NOT NULL CHECK (planned > 0), -- runs, warm-ups included
    -- What was asked: {"scenarios": [...], "backends": [...], "params": {"pages": ["1", "16"]}}
    spec TEXT NOT NULL CHECK (json_valid(spec))
) STRICT;

-- The series a run belongs to, and whether it is the first of its combination there, which warms
-- up and is not counted.
ALTER TABLE run ADD COLUMN series INTEGER REFERENCES series;
ALTER TABLE run ADD COLUMN warm_up INTEGER CHECK (warm_up IN (0, 1));
CREATE INDEX run_by_series ON run (series) WHERE series IS NOT NULL;

PRAGMA user_version = 9;
