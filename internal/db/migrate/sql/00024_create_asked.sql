-- +goose Up

-- When the provider was last asked to create the volume, where it has not answered: until its settle time has passed, a volume may still come of it.
ALTER TABLE volume ADD COLUMN create_asked_at BIGINT;
