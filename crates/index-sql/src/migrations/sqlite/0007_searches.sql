-- Metrics lie in the order of their ids, so that a page of them is found in one go, and indexes of theirs hold the ids.
-- Keys come from a sequence: no key is given twice, whatever is deleted.

CREATE TABLE metric_sequence (
    pk INTEGER PRIMARY KEY CHECK (pk = 1),
    next INTEGER NOT NULL
) STRICT;
INSERT INTO metric_sequence (pk, next)
    VALUES (1, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'metric'), 0) + 1);

CREATE TABLE metric_in_order (
    id BLOB NOT NULL PRIMARY KEY,
    key INTEGER NOT NULL,
    resource_pk INTEGER REFERENCES resource (pk),
    name_pk INTEGER,
    unit_pk INTEGER,
    creator_pk INTEGER,
    policy_key INTEGER NOT NULL REFERENCES archive_policy (key)
) STRICT, WITHOUT ROWID;
INSERT INTO metric_in_order (id, key, resource_pk, name_pk, unit_pk, creator_pk, policy_key)
    SELECT id, key, resource_pk, name_pk, unit_pk, creator_pk, policy_key FROM metric ORDER BY id;
DROP TABLE metric;
ALTER TABLE metric_in_order RENAME TO metric;
CREATE UNIQUE INDEX metric_by_key ON metric (key);
CREATE UNIQUE INDEX metric_by_resource ON metric (resource_pk, name_pk);
CREATE INDEX metric_by_name ON metric (name_pk, id);
CREATE INDEX metric_by_creator ON metric (creator_pk, id);
CREATE INDEX metric_by_policy ON metric (policy_key, id);

-- Finds texts by any part of them, so that a pattern that matches little needs no look at all values of an attribute. A row
-- is an attribute (from bit 40 on) of a resource (below it). Texts are in `resource_attribute` only.
CREATE VIRTUAL TABLE resource_trigram
    USING fts5 (text, content = '', columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1');
INSERT INTO resource_trigram (rowid, text)
    SELECT attribute_pk << 40 | resource_pk, text FROM resource_attribute
    WHERE text IS NOT NULL ORDER BY attribute_pk, resource_pk;

-- Texts that came or went since rows were last sorted into it: one by one that takes ten times as long.
CREATE TABLE trigram_change (
    pk INTEGER PRIMARY KEY,
    row INTEGER NOT NULL,
    text TEXT NOT NULL,
    is_gone INTEGER NOT NULL
) STRICT;
CREATE TRIGGER resource_attribute_text_came AFTER INSERT ON resource_attribute WHEN new.text IS NOT NULL BEGIN
    INSERT INTO trigram_change (row, text, is_gone)
        VALUES (new.attribute_pk << 40 | new.resource_pk, new.text, 0);
END;
CREATE TRIGGER resource_attribute_text_went AFTER DELETE ON resource_attribute WHEN old.text IS NOT NULL BEGIN
    INSERT INTO trigram_change (row, text, is_gone)
        VALUES (old.attribute_pk << 40 | old.resource_pk, old.text, 1);
END;
CREATE TRIGGER resource_attribute_text_changed AFTER UPDATE OF text ON resource_attribute
    WHEN old.text IS NOT new.text BEGIN
    INSERT INTO trigram_change (row, text, is_gone)
        SELECT old.attribute_pk << 40 | old.resource_pk, old.text, 1 WHERE old.text IS NOT NULL;
    INSERT INTO trigram_change (row, text, is_gone)
        SELECT new.attribute_pk << 40 | new.resource_pk, new.text, 0 WHERE new.text IS NOT NULL;
END;

-- As in the first step.
DELETE FROM sqlite_stat1 WHERE tbl IN ('metric', 'metric_in_order');
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('metric', 'metric', '3600000 1'),
    ('metric', 'metric_by_key', '3600000 1'),
    ('metric', 'metric_by_resource', '3600000 10 1'),
    ('metric', 'metric_by_name', '3600000 30000 1'),
    ('metric', 'metric_by_creator', '3600000 20000 1'),
    ('metric', 'metric_by_policy', '3600000 900000 1');
ANALYZE sqlite_schema;
