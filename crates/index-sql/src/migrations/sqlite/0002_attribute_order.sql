-- Attributes know the ids of their resources, so that pages sorted by an attribute, and then by id, are in the order of
-- an index. An attribute of its type that a resource has no value of is a row without any, so that those resources, too,
-- are found in order.

CREATE TABLE resource_attribute_with_id (
    resource_pk INTEGER NOT NULL REFERENCES resource (pk),
    attribute_pk INTEGER NOT NULL,
    text TEXT,
    number REAL,
    integer INTEGER,
    id BLOB NOT NULL,
    PRIMARY KEY (resource_pk, attribute_pk)
) STRICT, WITHOUT ROWID;
INSERT INTO resource_attribute_with_id (resource_pk, attribute_pk, text, number, integer, id)
    SELECT r.pk, t.pk, a.text, a.number, a.integer, r.id
    FROM resource r JOIN attribute t ON t.type_pk = r.type_pk
    LEFT JOIN resource_attribute a ON a.resource_pk = r.pk AND a.attribute_pk = t.pk
    ORDER BY r.pk, t.pk;
DROP TABLE resource_attribute;
ALTER TABLE resource_attribute_with_id RENAME TO resource_attribute;
CREATE INDEX resource_attribute_by_text ON resource_attribute (attribute_pk, text, id)
    WHERE text IS NOT NULL;
CREATE INDEX resource_attribute_by_number ON resource_attribute (attribute_pk, number, id)
    WHERE number IS NOT NULL;
CREATE INDEX resource_attribute_by_integer ON resource_attribute (attribute_pk, integer, id)
    WHERE integer IS NOT NULL;
CREATE INDEX resource_attribute_without ON resource_attribute (attribute_pk, id)
    WHERE text IS NULL AND number IS NULL AND integer IS NULL;

-- As in the first step.
DELETE FROM sqlite_stat1 WHERE tbl = 'resource_attribute';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('resource_attribute', 'resource_attribute', '6000000 6 1'),
    ('resource_attribute', 'resource_attribute_by_text', '4000000 300000 100 1'),
    ('resource_attribute', 'resource_attribute_by_number', '1000000 300000 1000 1'),
    ('resource_attribute', 'resource_attribute_by_integer', '1000000 300000 1000 1'),
    ('resource_attribute', 'resource_attribute_without', '500000 50000 1');
ANALYZE sqlite_schema;
