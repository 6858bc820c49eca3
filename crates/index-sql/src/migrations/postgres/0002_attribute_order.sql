-- Attributes know the ids of their resources, so that pages sorted by an attribute, and then by id, are in the order of
-- an index. An attribute of its type that a resource has no value of is a row without any, so that those resources, too,
-- are found in order.

CREATE TABLE resource_attribute_with_id (
    resource_pk BIGINT NOT NULL,
    attribute_pk BIGINT NOT NULL,
    text TEXT COLLATE "C",
    number DOUBLE PRECISION,
    integer BIGINT,
    id UUID NOT NULL
);
INSERT INTO resource_attribute_with_id (resource_pk, attribute_pk, text, number, integer, id)
    SELECT r.pk, t.pk, a.text, a.number, a.integer, r.id
    FROM resource r JOIN attribute t ON t.type_pk = r.type_pk
    LEFT JOIN resource_attribute a ON a.resource_pk = r.pk AND a.attribute_pk = t.pk
    ORDER BY r.pk, t.pk;
DROP TABLE resource_attribute;
ALTER TABLE resource_attribute_with_id RENAME TO resource_attribute;
ALTER TABLE resource_attribute ADD PRIMARY KEY (resource_pk, attribute_pk);
ALTER TABLE resource_attribute ADD FOREIGN KEY (resource_pk) REFERENCES resource (pk);
CREATE INDEX resource_attribute_by_text ON resource_attribute (attribute_pk, text, id)
    INCLUDE (resource_pk) WHERE text IS NOT NULL;
CREATE INDEX resource_attribute_by_number ON resource_attribute (attribute_pk, number, id)
    INCLUDE (resource_pk) WHERE number IS NOT NULL;
CREATE INDEX resource_attribute_by_integer ON resource_attribute (attribute_pk, integer, id)
    INCLUDE (resource_pk) WHERE integer IS NOT NULL;
CREATE INDEX resource_attribute_without ON resource_attribute (attribute_pk, id)
    INCLUDE (resource_pk) WHERE text IS NULL AND number IS NULL AND integer IS NULL;
