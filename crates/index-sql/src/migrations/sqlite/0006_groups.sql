-- Messages that may go out as one have the same group, a hash of project, action and `group_key`; each waits for others so many
-- microseconds at most.
ALTER TABLE outbox ADD COLUMN group_id INTEGER;
ALTER TABLE outbox ADD COLUMN wait INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outbox_grouped ON outbox (group_id, pk) WHERE dead_at IS NULL AND group_id IS NOT NULL;

-- The last of the messages that were taken; `head` is the first.
ALTER TABLE outbox_target ADD COLUMN tail INTEGER;
UPDATE outbox_target SET tail = head;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('outbox', 'outbox_grouped', '1000 10 1');
ANALYZE sqlite_schema;
