-- Pages are found without a look at the tables: indexes hold all that is asked of the rows on the way.

DROP INDEX resource_by_revision;
CREATE INDEX resource_by_revision ON resource (revision_start, started_at, id) INCLUDE (pk);
DROP INDEX resource_by_type;
CREATE INDEX resource_by_type ON resource (type_pk, revision_start, started_at, id) INCLUDE (pk);
DROP INDEX resource_by_project;
CREATE INDEX resource_by_project ON resource (project_id, id) INCLUDE (pk);
DROP INDEX resource_by_user;
CREATE INDEX resource_by_user ON resource (user_id, id) INCLUDE (pk);
DROP INDEX resource_by_creator;
CREATE INDEX resource_by_creator ON resource (creator_pk, id) INCLUDE (pk);
DROP INDEX metric_by_resource;
CREATE UNIQUE INDEX metric_by_resource ON metric (resource_pk, name_pk) INCLUDE (id);
