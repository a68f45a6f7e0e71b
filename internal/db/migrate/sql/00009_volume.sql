-- +goose Up
CREATE TABLE volume (
    id             TEXT   PRIMARY KEY,
    account_id     TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    size_gb        BIGINT NOT NULL,        -- what there is and is paid for
    wanted_size_gb BIGINT NOT NULL,        -- more than size_gb while it grows
    provider       TEXT   NOT NULL,
    region         TEXT   NOT NULL,
    per_gb_hour    BIGINT NOT NULL,        -- what the tenant pays, fixed at creation
    status         TEXT   NOT NULL,
    reason         TEXT   NOT NULL,        -- why, for the tenant to read, where something went wrong
    deployment_id  TEXT   NOT NULL,        -- while it is attached or on its way there or back; else ''
    mount_path     TEXT   NOT NULL,
    created_at     BIGINT NOT NULL,
    status_since   BIGINT NOT NULL,
    available_at   BIGINT,                 -- when it first was, and the meter started
    deleted_at     BIGINT,
    clean_until    BIGINT,                 -- until then it is deleted upstream again and again, in case a late create lands
    changes        BIGINT NOT NULL         -- raised by whoever locks the row to change it
);
CREATE UNIQUE INDEX volume_name ON volume (account_id, name) WHERE status NOT IN ('failed', 'deleted');
CREATE INDEX volume_account ON volume (account_id, id);
CREATE INDEX volume_deployment ON volume (deployment_id) WHERE deployment_id <> '';
CREATE INDEX volume_by_name ON volume (account_id, lower(name), id);

-- +goose Down
DROP TABLE volume;
