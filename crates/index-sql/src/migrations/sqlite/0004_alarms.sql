-- Alarms and what belongs to them; leases of shares. Times are microseconds since the epoch, truths 0 and 1, lists and
-- rules JSON as Python writes it. Texts compare by code point.

CREATE TABLE alarm (
    alarm_id TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    share INTEGER NOT NULL,
    -- What alarm_share had when somebody else than an evaluator changed the alarm last.
    revision INTEGER NOT NULL,
    type TEXT NOT NULL,
    enabled INTEGER,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    user_id TEXT,
    project_id TEXT,
    state TEXT NOT NULL,
    state_timestamp INTEGER NOT NULL,
    state_reason TEXT NOT NULL,
    ok_actions TEXT,
    alarm_actions TEXT,
    insufficient_data_actions TEXT,
    repeat_actions INTEGER NOT NULL,
    rule TEXT NOT NULL,
    time_constraints TEXT NOT NULL,
    severity TEXT NOT NULL,
    evaluate_timestamp INTEGER NOT NULL
) STRICT;
CREATE INDEX alarm_by_project ON alarm (project_id, timestamp DESC, alarm_id);
CREATE INDEX alarm_by_user ON alarm (user_id);
CREATE INDEX alarm_by_time ON alarm (timestamp DESC, alarm_id);
CREATE INDEX alarm_by_state ON alarm (state, timestamp DESC, alarm_id, enabled);
CREATE INDEX alarm_by_type ON alarm (type, timestamp DESC, alarm_id);
CREATE INDEX alarm_by_enabled ON alarm (enabled, timestamp DESC, alarm_id);
CREATE INDEX alarm_by_revision ON alarm (share, revision);
CREATE INDEX alarm_by_name ON alarm (name, alarm_id);

-- How often alarms of a share were changed by others than evaluators. Its row is held while one is.
CREATE TABLE alarm_share (
    share INTEGER NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO alarm_share (share, revision)
    WITH RECURSIVE numbers (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM numbers WHERE number < 63)
    SELECT number, 0 FROM numbers;

-- Alarms that were deleted not long ago.
CREATE TABLE alarm_tombstone (
    share INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    alarm_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (share, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE alarm_history (
    event_id TEXT NOT NULL PRIMARY KEY,
    alarm_id TEXT NOT NULL REFERENCES alarm (alarm_id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    severity TEXT,
    detail TEXT NOT NULL,
    user_id TEXT,
    project_id TEXT,
    on_behalf_of TEXT,
    timestamp INTEGER NOT NULL
) STRICT;
CREATE INDEX alarm_history_by_alarm ON alarm_history (alarm_id, timestamp DESC, event_id);
CREATE INDEX alarm_history_by_owner ON alarm_history (on_behalf_of, timestamp DESC, event_id);
CREATE INDEX alarm_history_by_time ON alarm_history (timestamp DESC, event_id);

CREATE TABLE alarm_quota (
    project_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    maximum INTEGER,
    PRIMARY KEY (project_id, resource)
) STRICT, WITHOUT ROWID;

CREATE TABLE alarm_counter (
    alarm_id TEXT NOT NULL PRIMARY KEY REFERENCES alarm (alarm_id) ON DELETE CASCADE,
    project_id TEXT NOT NULL,
    insufficient_data INTEGER NOT NULL,
    ok INTEGER NOT NULL,
    alarm INTEGER NOT NULL
) STRICT;
CREATE INDEX alarm_counter_by_project ON alarm_counter (project_id, alarm_id);

-- Messages that wait for their delivery, or were given up at `dead_at`. `target` is a hash of alarm and action; messages to
-- one target are delivered in the order of `pk`.
CREATE TABLE outbox (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    alarm_id TEXT NOT NULL,
    project_id TEXT,
    target INTEGER NOT NULL,
    action TEXT NOT NULL,
    payload TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    group_key TEXT,
    created_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    dead_at INTEGER
) STRICT;
CREATE INDEX outbox_waiting ON outbox (target, pk) WHERE dead_at IS NULL;
CREATE INDEX outbox_dead ON outbox (pk) WHERE dead_at IS NOT NULL;
CREATE INDEX outbox_by_alarm ON outbox (alarm_id);

-- Targets for which messages wait: when the first of them is due, or was taken (`head`) and is free again. Messages behind
-- it are not looked at until it is gone.
CREATE TABLE outbox_target (
    target INTEGER NOT NULL PRIMARY KEY,
    due_at INTEGER NOT NULL,
    head INTEGER,
    holder BLOB
) STRICT;
CREATE INDEX outbox_target_by_due ON outbox_target (due_at, target);

CREATE TABLE silence (
    id BLOB NOT NULL PRIMARY KEY,
    project_id TEXT,
    user_id TEXT,
    filter TEXT NOT NULL,
    comment TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL
) STRICT;
CREATE INDEX silence_by_end ON silence (ends_at);

-- Work that members share. The row of a group is held while its leases are changed.
CREATE TABLE lease_group (
    name TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- A lease holds as long as its member lives.
CREATE TABLE lease_member (
    group_name TEXT NOT NULL,
    member BLOB NOT NULL,
    ends_at INTEGER NOT NULL,
    PRIMARY KEY (group_name, member)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
    group_name TEXT NOT NULL,
    share INTEGER NOT NULL,
    member BLOB,
    epoch INTEGER NOT NULL,
    PRIMARY KEY (group_name, share)
) STRICT, WITHOUT ROWID;

-- As in the first step. States, types and truths are few, projects have their alarms.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('alarm', 'sqlite_autoindex_alarm_1', '100000 1'),
    ('alarm', 'alarm_by_project', '100000 200 1 1'),
    ('alarm', 'alarm_by_user', '100000 200'),
    ('alarm', 'alarm_by_time', '100000 1 1'),
    ('alarm', 'alarm_by_state', '100000 30000 1 1 1'),
    ('alarm', 'alarm_by_type', '100000 50000 1 1'),
    ('alarm', 'alarm_by_enabled', '100000 90000 1 1'),
    ('alarm', 'alarm_by_revision', '100000 1600 1'),
    ('alarm', 'alarm_by_name', '100000 2 1'),
    ('alarm_history', 'sqlite_autoindex_alarm_history_1', '3000000 1'),
    ('alarm_history', 'alarm_history_by_alarm', '3000000 30 1 1'),
    ('alarm_history', 'alarm_history_by_owner', '3000000 6000 1 1'),
    ('alarm_history', 'alarm_history_by_time', '3000000 2 1'),
    ('alarm_counter', 'sqlite_autoindex_alarm_counter_1', '100000 1'),
    ('alarm_counter', 'alarm_counter_by_project', '100000 200 1'),
    ('outbox', 'sqlite_autoindex_outbox_1', '10000 1'),
    ('outbox', 'outbox_waiting', '10000 2 1'),
    ('outbox', 'outbox_dead', '1000 1'),
    ('outbox', 'outbox_by_alarm', '10000 2'),
    ('outbox_target', 'outbox_target_by_due', '5000 2 1');
ANALYZE sqlite_schema;
