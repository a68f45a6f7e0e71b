-- +goose Up
-- How long a provider has been silent is counted from the first failure of a row: the success before it may be long ago only
-- because nobody asked meanwhile.
ALTER TABLE catalog_provider ADD COLUMN failing_since BIGINT; -- asked_at of the first failure after the last success; NULL while there is none
UPDATE catalog_provider SET failing_since = last_failure_at WHERE last_success_at IS NULL OR last_failure_at >= last_success_at;

-- +goose Down
ALTER TABLE catalog_provider DROP COLUMN failing_since;
