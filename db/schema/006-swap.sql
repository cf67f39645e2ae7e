-- A page that a write brought back from swap is neither copied nor first touched: it has a word of
-- its own. NULL in rows of before.

ALTER TABLE region ADD COLUMN swapped_in INTEGER;
-- The word's list is a constraint of its column: the column is made anew.
ALTER TABLE region ADD COLUMN outcome_before TEXT;
UPDATE region SET outcome_before = write_outcome WHERE write_outcome IS NOT NULL;
ALTER TABLE region DROP COLUMN write_outcome;
ALTER TABLE region ADD COLUMN write_outcome TEXT CHECK (write_outcome IN ('first_touch', 'copied',
    'reused', 'no_fault', 'mixed', 'swapped_in'));
UPDATE region SET write_outcome = outcome_before WHERE outcome_before IS NOT NULL;
ALTER TABLE region DROP COLUMN outcome_before;

-- Where states are concluded (GNU Mach), a page that nobody else sees and that the next write copies
-- all the same was called debt. It is cow. Expectations and checks of such runs stay: they are what the
-- run concluded, in the words of its own scenario, whose text is kept with it (run.source).
UPDATE region SET cow = cow + debt, debt = 0
WHERE debt > 0 AND run IN (SELECT run FROM run
                           WHERE json_extract(ability, '$.page_states') = 'concluded');
UPDATE page_run SET state = 'cow'
WHERE state = 'debt' AND run IN (SELECT run FROM run
                                 WHERE json_extract(ability, '$.page_states') = 'concluded');

PRAGMA user_version = 6;
