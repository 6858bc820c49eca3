-- Times of the index are microseconds since the epoch, times of the part catalog nanoseconds.
-- UUIDs are blobs of 16 bytes. Texts compare by code point.

CREATE TABLE archive_policy (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    back_window INTEGER NOT NULL,
    definition TEXT NOT NULL,
    methods TEXT NOT NULL,
    version INTEGER NOT NULL
) STRICT;

CREATE TABLE archive_policy_rule (
    name TEXT NOT NULL PRIMARY KEY,
    metric_pattern TEXT NOT NULL,
    policy_key INTEGER NOT NULL REFERENCES archive_policy (key)
) STRICT, WITHOUT ROWID;
CREATE INDEX archive_policy_rule_by_pattern ON archive_policy_rule (metric_pattern DESC, name);
CREATE INDEX archive_policy_rule_by_policy ON archive_policy_rule (policy_key);

CREATE TABLE resource_type (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL
) STRICT;
INSERT INTO resource_type (name, state) VALUES ('generic', '"active"');

CREATE TABLE attribute (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    type_pk INTEGER NOT NULL REFERENCES resource_type (pk),
    name TEXT NOT NULL,
    definition TEXT NOT NULL,
    UNIQUE (type_pk, name)
) STRICT;

-- Who made something; `project` is what follows the last colon. Rows stay.
CREATE TABLE creator (
    pk INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE,
    project TEXT
) STRICT;
CREATE INDEX creator_by_project ON creator (project) WHERE project IS NOT NULL;

-- Names and units of metrics. Rows stay.
CREATE TABLE label (
    pk INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE resource (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    type_pk INTEGER NOT NULL REFERENCES resource_type (pk),
    creator_pk INTEGER,
    user_id TEXT,
    project_id TEXT,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    revision_start INTEGER NOT NULL,
    original_resource_id TEXT NOT NULL,
    attributes TEXT NOT NULL,
    CHECK (ended_at IS NULL OR started_at <= ended_at)
) STRICT;
CREATE INDEX resource_by_revision ON resource (revision_start, started_at, id);
CREATE INDEX resource_by_type ON resource (type_pk, revision_start, started_at, id);
CREATE INDEX resource_by_project ON resource (project_id, id);
CREATE INDEX resource_by_user ON resource (user_id, id);
CREATE INDEX resource_by_creator ON resource (creator_pk, id);
CREATE INDEX resource_by_start ON resource (started_at, id);
CREATE INDEX resource_by_end ON resource (ended_at, id);
CREATE INDEX resource_by_original_id ON resource (original_resource_id, id);

-- What a search compares: text (and UUIDs), numbers, or whole numbers (booleans and times).
CREATE TABLE resource_attribute (
    resource_pk INTEGER NOT NULL REFERENCES resource (pk),
    attribute_pk INTEGER NOT NULL,
    text TEXT,
    number REAL,
    integer INTEGER,
    PRIMARY KEY (resource_pk, attribute_pk)
) STRICT, WITHOUT ROWID;
CREATE INDEX resource_attribute_by_text ON resource_attribute (attribute_pk, text) WHERE text IS NOT NULL;
CREATE INDEX resource_attribute_by_number ON resource_attribute (attribute_pk, number) WHERE number IS NOT NULL;
CREATE INDEX resource_attribute_by_integer ON resource_attribute (attribute_pk, integer) WHERE integer IS NOT NULL;

-- What a resource was; what never changes stays in its row.
CREATE TABLE resource_history (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    resource_pk INTEGER NOT NULL REFERENCES resource (pk),
    user_id TEXT,
    project_id TEXT,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    revision_start INTEGER NOT NULL,
    revision_end INTEGER NOT NULL,
    attributes TEXT NOT NULL
) STRICT;
CREATE INDEX resource_history_by_resource ON resource_history (resource_pk);

CREATE TABLE history_attribute (
    revision INTEGER NOT NULL REFERENCES resource_history (revision),
    attribute_pk INTEGER NOT NULL,
    text TEXT,
    number REAL,
    integer INTEGER,
    PRIMARY KEY (revision, attribute_pk)
) STRICT, WITHOUT ROWID;

CREATE TABLE metric (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    resource_pk INTEGER REFERENCES resource (pk),
    name_pk INTEGER,
    unit_pk INTEGER,
    creator_pk INTEGER,
    policy_key INTEGER NOT NULL REFERENCES archive_policy (key)
) STRICT;
CREATE UNIQUE INDEX metric_by_resource ON metric (resource_pk, name_pk);
CREATE INDEX metric_by_name ON metric (name_pk, id);
CREATE INDEX metric_by_creator ON metric (creator_pk, id);
CREATE INDEX metric_by_policy ON metric (policy_key, id);

-- Series of metrics that are gone and whose data may still be in parts.
CREATE TABLE dead_series (
    series_key INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE part (
    id BLOB NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL,
    sack INTEGER NOT NULL,
    level INTEGER NOT NULL,
    min_ns INTEGER NOT NULL,
    max_ns INTEGER NOT NULL,
    min_position INTEGER NOT NULL,
    max_position INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    series INTEGER NOT NULL,
    points INTEGER NOT NULL,
    as_of_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: how far parts cover the log, and late measures ever.
CREATE TABLE catalog_state (
    pk INTEGER PRIMARY KEY CHECK (pk = 1),
    log_position INTEGER NOT NULL,
    late_measures INTEGER NOT NULL
) STRICT;
INSERT INTO catalog_state (pk, log_position, late_measures) VALUES (1, 0, 0);

CREATE TABLE tombstone (
    series_key INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    stop_ns INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (series_key, start_ns, stop_ns, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE late (
    series_key INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    width_ns INTEGER NOT NULL,
    measures INTEGER NOT NULL,
    PRIMARY KEY (series_key, start_ns, width_ns)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    file TEXT NOT NULL,
    start INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    reason TEXT NOT NULL,
    found_ns INTEGER NOT NULL
) STRICT;
