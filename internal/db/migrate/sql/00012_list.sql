-- +goose Up

-- Lists that are sorted by name, either way. Those by time read the indexes on the ids.
CREATE INDEX api_key_name ON api_key (account_id, lower(name), id);
CREATE INDEX ssh_key_by_name ON ssh_key (account_id, lower(name), id);
CREATE INDEX volume_by_name ON volume (account_id, lower(name), id);

-- +goose Down
DROP INDEX volume_by_name;
DROP INDEX ssh_key_by_name;
DROP INDEX api_key_name;
