-- +goose Up
-- Until when the address wants no requests, by its Retry-After.
ALTER TABLE webhook ADD COLUMN rest_until BIGINT;

-- +goose Down
ALTER TABLE webhook DROP COLUMN rest_until;
