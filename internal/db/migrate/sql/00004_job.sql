-- +goose Up
CREATE TABLE job (
    id          TEXT   PRIMARY KEY,
    kind        TEXT   NOT NULL,
    subject     TEXT   NOT NULL,
    run_at      BIGINT NOT NULL,           -- microseconds on the server's clock: not before
    generation  BIGINT NOT NULL,           -- raised by every Enqueue, so that a run which began before it does not count for it
    attempt     BIGINT NOT NULL,           -- raised by every claim; completing needs the same
    failures    BIGINT NOT NULL,           -- in a row
    lease_until BIGINT NOT NULL,           -- microseconds of real time; 0 while nobody has it
    last_error  TEXT   NOT NULL,
    UNIQUE (kind, subject)
);
CREATE INDEX job_due ON job (run_at);

-- +goose Down
DROP TABLE job;
