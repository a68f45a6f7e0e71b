-- +goose Up
CREATE TABLE meter (
    subject      TEXT   PRIMARY KEY,
    account_id   TEXT   NOT NULL,
    description  TEXT   NOT NULL,          -- what an hour is of: "8 × NVIDIA B200"
    name         TEXT   NOT NULL,
    provider     TEXT   NOT NULL,
    region       TEXT   NOT NULL,
    gpu_type     TEXT   NOT NULL,
    hourly_price BIGINT NOT NULL,          -- of hours not yet booked
    started_at   BIGINT NOT NULL,          -- whole seconds
    hours        BIGINT NOT NULL,          -- booked so far: 0 to hours - 1
    next_at      BIGINT,                   -- when the next hour begins: started_at + hours · 3600 s; NULL once stopped
    cost         BIGINT NOT NULL,          -- charges less refunds
    stopped_at   BIGINT                    -- NULL while it runs
);
CREATE INDEX meter_due ON meter (next_at, subject) WHERE next_at IS NOT NULL;
CREATE INDEX meter_running ON meter (account_id, subject) WHERE next_at IS NOT NULL;

-- +goose Down
DROP TABLE meter;
