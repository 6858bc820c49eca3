-- Times of the index are microseconds since the epoch, times of the part catalog nanoseconds.
-- Texts compare by code point.

CREATE TABLE archive_policy (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    back_window BIGINT NOT NULL,
    definition TEXT NOT NULL,
    methods TEXT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE archive_policy_rule (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    metric_pattern TEXT COLLATE "C" NOT NULL,
    policy_key BIGINT NOT NULL REFERENCES archive_policy (key)
);
CREATE INDEX archive_policy_rule_by_pattern ON archive_policy_rule (metric_pattern DESC, name);
CREATE INDEX archive_policy_rule_by_policy ON archive_policy_rule (policy_key);

CREATE TABLE resource_type (
    pk BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    state TEXT NOT NULL
);
INSERT INTO resource_type (name, state) VALUES ('generic', '"active"');

CREATE TABLE attribute (
    pk BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type_pk BIGINT NOT NULL REFERENCES resource_type (pk),
    name TEXT COLLATE "C" NOT NULL,
    definition TEXT NOT NULL,
    UNIQUE (type_pk, name)
);

-- Who made something; `project` is what follows the last colon. Rows stay.
CREATE TABLE creator (
    pk BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    text TEXT COLLATE "C" NOT NULL UNIQUE,
    project TEXT COLLATE "C"
);
CREATE INDEX creator_by_project ON creator (project) WHERE project IS NOT NULL;

-- Names and units of metrics. Rows stay.
CREATE TABLE label (
    pk BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    text TEXT COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE resource (
    pk BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id UUID NOT NULL UNIQUE,
    type_pk BIGINT NOT NULL REFERENCES resource_type (pk),
    creator_pk BIGINT,
    user_id TEXT COLLATE "C",
    project_id TEXT COLLATE "C",
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    revision_start BIGINT NOT NULL,
    original_resource_id TEXT COLLATE "C" NOT NULL,
    attributes TEXT NOT NULL,
    CHECK (ended_at IS NULL OR started_at <= ended_at)
);
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
    resource_pk BIGINT NOT NULL REFERENCES resource (pk),
    attribute_pk BIGINT NOT NULL,
    text TEXT COLLATE "C",
    number DOUBLE PRECISION,
    integer BIGINT,
    PRIMARY KEY (resource_pk, attribute_pk)
);
CREATE INDEX resource_attribute_by_text ON resource_attribute (attribute_pk, text) WHERE text IS NOT NULL;
CREATE INDEX resource_attribute_by_number ON resource_attribute (attribute_pk, number) WHERE number IS NOT NULL;
CREATE INDEX resource_attribute_by_integer ON resource_attribute (attribute_pk, integer) WHERE integer IS NOT NULL;

-- What a resource was; what never changes stays in its row.
CREATE TABLE resource_history (
    revision BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resource_pk BIGINT NOT NULL REFERENCES resource (pk),
    user_id TEXT COLLATE "C",
    project_id TEXT COLLATE "C",
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    revision_start BIGINT NOT NULL,
    revision_end BIGINT NOT NULL,
    attributes TEXT NOT NULL
);
CREATE INDEX resource_history_by_resource ON resource_history (resource_pk);

CREATE TABLE history_attribute (
    revision BIGINT NOT NULL REFERENCES resource_history (revision),
    attribute_pk BIGINT NOT NULL,
    text TEXT COLLATE "C",
    number DOUBLE PRECISION,
    integer BIGINT,
    PRIMARY KEY (revision, attribute_pk)
);

CREATE TABLE metric (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id UUID NOT NULL UNIQUE,
    resource_pk BIGINT REFERENCES resource (pk),
    name_pk BIGINT,
    unit_pk BIGINT,
    creator_pk BIGINT,
    policy_key BIGINT NOT NULL REFERENCES archive_policy (key)
);
CREATE UNIQUE INDEX metric_by_resource ON metric (resource_pk, name_pk);
CREATE INDEX metric_by_name ON metric (name_pk, id);
CREATE INDEX metric_by_creator ON metric (creator_pk, id);
CREATE INDEX metric_by_policy ON metric (policy_key, id);

-- Series of metrics that are gone and whose data may still be in parts.
CREATE TABLE dead_series (
    series_key BIGINT PRIMARY KEY
);

CREATE TABLE part (
    id UUID NOT NULL PRIMARY KEY,
    kind BIGINT NOT NULL,
    sack BIGINT NOT NULL,
    level BIGINT NOT NULL,
    min_ns BIGINT NOT NULL,
    max_ns BIGINT NOT NULL,
    min_position BIGINT NOT NULL,
    max_position BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    series BIGINT NOT NULL,
    points BIGINT NOT NULL,
    as_of_ns BIGINT NOT NULL
);

-- One row: how far parts cover the log, and late measures ever.
CREATE TABLE catalog_state (
    pk BIGINT PRIMARY KEY CHECK (pk = 1),
    log_position BIGINT NOT NULL,
    late_measures BIGINT NOT NULL
);
INSERT INTO catalog_state (pk, log_position, late_measures) VALUES (1, 0, 0);

CREATE TABLE tombstone (
    series_key BIGINT NOT NULL,
    start_ns BIGINT NOT NULL,
    stop_ns BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (series_key, start_ns, stop_ns, position)
);

CREATE TABLE late (
    series_key BIGINT NOT NULL,
    start_ns BIGINT NOT NULL,
    width_ns BIGINT NOT NULL,
    measures BIGINT NOT NULL,
    PRIMARY KEY (series_key, start_ns, width_ns)
);

CREATE TABLE quarantine (
    pk BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file TEXT COLLATE "C" NOT NULL,
    start BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    reason TEXT NOT NULL,
    found_ns BIGINT NOT NULL
);
