-- What members hold, to be found when they are dead.
CREATE INDEX outbox_target_held ON outbox_target (holder) WHERE holder IS NOT NULL;
