-- +goose Up
CREATE TABLE deployment (
    id                     TEXT   PRIMARY KEY,
    account_id             TEXT   NOT NULL,
    name                   TEXT   NOT NULL,
    status                 TEXT   NOT NULL,
    cause                  TEXT   NOT NULL,   -- of the last change of status
    reason                 TEXT   NOT NULL,   -- the same in words, for people
    provider               TEXT   NOT NULL,
    region                 TEXT   NOT NULL,
    offer_id               TEXT   NOT NULL,
    offer_key              TEXT   NOT NULL,   -- the provider's name of the offer
    gpu_type               TEXT   NOT NULL,
    gpu_count              BIGINT NOT NULL,
    instance_type          TEXT   NOT NULL,
    operating_system       TEXT   NOT NULL,
    hourly_price           BIGINT NOT NULL,   -- agreed at deploy time
    cost_price             BIGINT NOT NULL,   -- what the provider asked at that time
    abilities              TEXT   NOT NULL,   -- JSON
    authorized_keys        TEXT   NOT NULL,   -- JSON: id, name, fingerprint, line
    cloud_init             TEXT   NOT NULL,
    steps                  TEXT   NOT NULL,   -- JSON
    action                 TEXT   NOT NULL,   -- what the provider is still to be asked for: reboot, …; '' for nothing
    action_argument        TEXT   NOT NULL,
    machine_id             TEXT   NOT NULL,   -- the provider's name of the machine; '' until Launch was answered
    address                TEXT   NOT NULL,
    ssh_user               TEXT   NOT NULL,
    ssh_port               BIGINT NOT NULL,
    ssh_host_keys          TEXT   NOT NULL,   -- JSON
    minimum_runtime        BIGINT NOT NULL,   -- seconds
    auto_terminate_at      BIGINT,
    termination_protection BIGINT NOT NULL,   -- 0 or 1
    created_at             BIGINT NOT NULL,   -- this and the next three: whole seconds
    launch_by              BIGINT NOT NULL,   -- given up when not running by then
    started_at             BIGINT,            -- the meter's first instant
    ended_at               BIGINT,            -- the instant to which the tenant pays
    released_at            BIGINT,            -- the provider confirmed that no machine is left
    UNIQUE (account_id, id)
);
CREATE INDEX deployment_account ON deployment (account_id, status, id);
CREATE INDEX deployment_provider ON deployment (provider, status);

CREATE TABLE deployment_tag (
    deployment_id TEXT   NOT NULL,
    position      BIGINT NOT NULL,
    tag           TEXT   NOT NULL,
    PRIMARY KEY (deployment_id, tag)
);

-- +goose Down
DROP TABLE deployment_tag;
DROP TABLE deployment;
