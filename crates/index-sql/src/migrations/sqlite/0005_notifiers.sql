-- What members hold, to be found when they are dead.
CREATE INDEX outbox_target_held ON outbox_target (holder) WHERE holder IS NOT NULL;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('outbox_target', 'outbox_target_held', '200 100');
ANALYZE sqlite_schema;
