-- +goose Up
-- When a Launch was last asked for that has no answer: it may still be on its way. launch_asked_at counts those that were answered, too.
ALTER TABLE deployment ADD COLUMN launch_open_at BIGINT;
UPDATE deployment SET launch_open_at = launch_asked_at WHERE status = 'deploying';

-- +goose Down
ALTER TABLE deployment DROP COLUMN launch_open_at;
