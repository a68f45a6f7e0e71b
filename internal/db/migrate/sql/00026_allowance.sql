-- +goose Up

-- What an API key may spend, where that is bounded. The row is locked by whoever is about to spend.
CREATE TABLE allowance (
    key_id           TEXT   NOT NULL PRIMARY KEY,
    max_hourly_price BIGINT,
    max_per_day      BIGINT,
    max_per_month    BIGINT,
    max_deployments  BIGINT,
    gpu_types        TEXT   NOT NULL,            -- JSON list; empty for all
    turns            BIGINT NOT NULL DEFAULT 0
);

-- What such a key has begun to spend.
CREATE TABLE allowance_use (
    subject      TEXT   NOT NULL PRIMARY KEY,
    key_id       TEXT   NOT NULL,
    hourly_price BIGINT NOT NULL,
    from_at      BIGINT NOT NULL,
    until_at     BIGINT,                         -- NULL where no end is planned
    started      BIGINT NOT NULL DEFAULT 0,      -- 1 once from_at is when the first hour began
    over         BIGINT NOT NULL DEFAULT 0       -- 1 once until_at is when it ended
);
CREATE INDEX allowance_use_key ON allowance_use (key_id, until_at);

ALTER TABLE deployment ADD COLUMN allowance_key TEXT NOT NULL DEFAULT '';
