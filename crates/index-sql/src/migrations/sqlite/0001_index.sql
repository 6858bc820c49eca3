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

-- What the planner should think of: a large installation, where a type or a policy is shared by very many rows. Fixed,
-- so that plans do not depend on when somebody last counted; in a small database any plan will do.
-- First the number of rows, then how many of them share the first, the first two, … columns of the index.
ANALYZE;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('archive_policy', 'sqlite_autoindex_archive_policy_1', '10 1'),
    ('resource_type', 'sqlite_autoindex_resource_type_1', '20 1'),
    ('attribute', 'sqlite_autoindex_attribute_1', '100 5 1'),
    ('creator', 'sqlite_autoindex_creator_1', '1000 1'),
    ('creator', 'creator_by_project', '1000 5'),
    ('label', 'sqlite_autoindex_label_1', '1000 1'),
    ('resource', 'sqlite_autoindex_resource_1', '1000000 1'),
    ('resource', 'resource_by_revision', '1000000 2 1 1'),
    ('resource', 'resource_by_type', '1000000 200000 2 1 1'),
    ('resource', 'resource_by_project', '1000000 500 1'),
    ('resource', 'resource_by_user', '1000000 200 1'),
    ('resource', 'resource_by_creator', '1000000 5000 1'),
    ('resource', 'resource_by_start', '1000000 2 1'),
    ('resource', 'resource_by_end', '1000000 20 1'),
    ('resource', 'resource_by_original_id', '1000000 1 1'),
    ('resource_attribute', 'resource_attribute', '6000000 6 1'),
    ('resource_attribute', 'resource_attribute_by_text', '4000000 300000 100'),
    ('resource_attribute', 'resource_attribute_by_number', '1000000 300000 1000'),
    ('resource_attribute', 'resource_attribute_by_integer', '1000000 300000 1000'),
    ('resource_history', 'resource_history_by_resource', '3000000 3'),
    ('history_attribute', 'history_attribute', '18000000 6 1'),
    ('metric', 'sqlite_autoindex_metric_1', '3600000 1'),
    ('metric', 'metric_by_resource', '3600000 10 1'),
    ('metric', 'metric_by_name', '3600000 30000 1'),
    ('metric', 'metric_by_creator', '3600000 20000 1'),
    ('metric', 'metric_by_policy', '3600000 900000 1');
ANALYZE sqlite_schema;
