-- +goose Up
-- How long a provider has been silent is counted from the first failure of a row: the success before it may be long ago only
-- because nobody asked meanwhile.
ALTER TABLE catalog_provider ADD COLUMN failing_since BIGINT; -- asked_at of the first failure after the last success; NULL while there is none
UPDATE catalog_provider SET failing_since = last_failure_at WHERE last_success_at IS NULL OR last_failure_at >= last_success_at;

-- lower() now knows the letters of every alphabet on SQLite, too. An index made of it would be wrong where it was filled before, or
-- by another version of the function; without one the few rows of an account are sorted.
DROP INDEX ssh_key_by_name;
DROP INDEX volume_by_name;
DROP INDEX api_key_name;

-- +goose Down
CREATE INDEX api_key_name ON api_key (account_id, lower(name), id);
CREATE INDEX volume_by_name ON volume (account_id, lower(name), id);
CREATE INDEX ssh_key_by_name ON ssh_key (account_id, lower(name), id);
ALTER TABLE catalog_provider DROP COLUMN failing_since;
