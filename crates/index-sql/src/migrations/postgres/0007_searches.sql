-- A walk through metrics in the order of their ids sees whose they are without a look at the table.
CREATE UNIQUE INDEX metric_by_id ON metric (id) INCLUDE (resource_pk, creator_pk);
ALTER TABLE metric DROP CONSTRAINT metric_id_key;
