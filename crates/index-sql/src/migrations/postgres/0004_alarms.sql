-- Alarms and what belongs to them; leases of shares. Times are microseconds since the epoch, truths 0 and 1, lists and
-- rules JSON as Python writes it. Texts compare by code point.

CREATE TABLE alarm (
    alarm_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    share BIGINT NOT NULL,
    -- What alarm_share had when somebody else than an evaluator changed the alarm last.
    revision BIGINT NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    enabled BIGINT,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    timestamp BIGINT NOT NULL,
    user_id TEXT COLLATE "C",
    project_id TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL,
    state_timestamp BIGINT NOT NULL,
    state_reason TEXT COLLATE "C" NOT NULL,
    ok_actions TEXT COLLATE "C",
    alarm_actions TEXT COLLATE "C",
    insufficient_data_actions TEXT COLLATE "C",
    repeat_actions BIGINT NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    time_constraints TEXT COLLATE "C" NOT NULL,
    severity TEXT COLLATE "C" NOT NULL,
    evaluate_timestamp BIGINT NOT NULL
);
CREATE INDEX alarm_by_project ON alarm (project_id, timestamp DESC, alarm_id);
CREATE INDEX alarm_by_user ON alarm (user_id);
CREATE INDEX alarm_by_time ON alarm (timestamp DESC, alarm_id);
CREATE INDEX alarm_by_state ON alarm (state, timestamp DESC, alarm_id, enabled);
CREATE INDEX alarm_by_type ON alarm (type, timestamp DESC, alarm_id);
CREATE INDEX alarm_by_enabled ON alarm (enabled, timestamp DESC, alarm_id);
CREATE INDEX alarm_by_revision ON alarm (share, revision);
-- Names are of any length, entries of a sorted index are not.
CREATE INDEX alarm_by_name ON alarm USING hash (name);

-- How often alarms of a share were changed by others than evaluators. Its row is held while one is.
CREATE TABLE alarm_share (
    share BIGINT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL
);
INSERT INTO alarm_share (share, revision) SELECT number, 0 FROM generate_series(0, 63) AS number;

-- Alarms that were deleted not long ago.
CREATE TABLE alarm_tombstone (
    share BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    alarm_id TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (share, revision)
);

CREATE TABLE alarm_history (
    event_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    alarm_id TEXT COLLATE "C" NOT NULL REFERENCES alarm (alarm_id) ON DELETE CASCADE,
    type TEXT COLLATE "C" NOT NULL,
    severity TEXT COLLATE "C",
    detail TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C",
    project_id TEXT COLLATE "C",
    on_behalf_of TEXT COLLATE "C",
    timestamp BIGINT NOT NULL
);
CREATE INDEX alarm_history_by_alarm ON alarm_history (alarm_id, timestamp DESC, event_id);
CREATE INDEX alarm_history_by_owner ON alarm_history (on_behalf_of, timestamp DESC, event_id);
CREATE INDEX alarm_history_by_time ON alarm_history (timestamp DESC, event_id);

CREATE TABLE alarm_quota (
    project_id TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    maximum BIGINT,
    PRIMARY KEY (project_id, resource)
);

CREATE TABLE alarm_counter (
    alarm_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES alarm (alarm_id) ON DELETE CASCADE,
    project_id TEXT COLLATE "C" NOT NULL,
    insufficient_data BIGINT NOT NULL,
    ok BIGINT NOT NULL,
    alarm BIGINT NOT NULL
);
CREATE INDEX alarm_counter_by_project ON alarm_counter (project_id, alarm_id);

-- Messages that wait for their delivery, or were given up at `dead_at`. `target` is a hash of alarm and action; messages to
-- one target are delivered in the order of `pk`.
CREATE TABLE outbox (
    pk BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id UUID NOT NULL UNIQUE,
    alarm_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C",
    target BIGINT NOT NULL,
    action TEXT NOT NULL,
    payload TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    group_key TEXT,
    created_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    last_error TEXT,
    dead_at BIGINT
);
CREATE INDEX outbox_waiting ON outbox (target, pk) WHERE dead_at IS NULL;
CREATE INDEX outbox_dead ON outbox (pk) WHERE dead_at IS NOT NULL;
CREATE INDEX outbox_by_alarm ON outbox (alarm_id);

-- Targets for which messages wait: when the first of them is due, or was taken (`head`) and is free again. Messages behind
-- it are not looked at until it is gone.
CREATE TABLE outbox_target (
    target BIGINT NOT NULL PRIMARY KEY,
    due_at BIGINT NOT NULL,
    head BIGINT,
    holder UUID
);
CREATE INDEX outbox_target_by_due ON outbox_target (due_at, target);

CREATE TABLE silence (
    id UUID NOT NULL PRIMARY KEY,
    project_id TEXT COLLATE "C",
    user_id TEXT,
    filter TEXT NOT NULL,
    comment TEXT NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL
);
CREATE INDEX silence_by_end ON silence (ends_at);

-- Work that members share. The row of a group is held while its leases are changed.
CREATE TABLE lease_group (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

-- A lease holds as long as its member lives.
CREATE TABLE lease_member (
    group_name TEXT COLLATE "C" NOT NULL,
    member UUID NOT NULL,
    ends_at BIGINT NOT NULL,
    PRIMARY KEY (group_name, member)
);

CREATE TABLE lease (
    group_name TEXT COLLATE "C" NOT NULL,
    share BIGINT NOT NULL,
    member UUID,
    epoch BIGINT NOT NULL,
    PRIMARY KEY (group_name, share)
);
