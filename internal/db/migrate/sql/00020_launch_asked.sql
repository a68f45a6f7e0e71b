-- +goose Up

-- When the provider was last asked to launch, where it has not answered: until its settle time has passed, a machine may still come of it.
ALTER TABLE deployment ADD COLUMN launch_asked_at BIGINT;
