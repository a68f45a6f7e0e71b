-- +goose Up
CREATE TABLE catalog_version (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL                -- raised in every transaction that changes an offer or a volume price
);
INSERT INTO catalog_version (id, version) VALUES (1, 1);

CREATE TABLE catalog_provider (
    provider        TEXT   PRIMARY KEY,
    asked_at        BIGINT NOT NULL,       -- when the answer that was written last was asked for
    last_success_at BIGINT,
    last_failure_at BIGINT,
    last_error      TEXT   NOT NULL        -- for the operator, of last_failure_at
);

CREATE TABLE catalog_offer (
    id                TEXT   PRIMARY KEY,
    provider          TEXT   NOT NULL,
    region            TEXT   NOT NULL,
    offer_key         TEXT   NOT NULL,
    gpu_type          TEXT   NOT NULL,
    gpu_count         BIGINT NOT NULL,
    gpu_memory_gb     BIGINT NOT NULL,
    vcpus             BIGINT NOT NULL,
    memory_gb         BIGINT NOT NULL,
    storage_gb        BIGINT NOT NULL,
    interconnect      TEXT   NOT NULL,
    instance_type     TEXT   NOT NULL,
    operating_systems TEXT   NOT NULL,     -- JSON array of text
    abilities         TEXT   NOT NULL,     -- JSON object
    cost_price        BIGINT NOT NULL,     -- what the provider asks
    hourly_price      BIGINT NOT NULL,     -- what a tenant pays
    available         BIGINT NOT NULL CHECK (available IN (0, 1)),
    stock             BIGINT,
    withdrawn_at      BIGINT,              -- set while the provider does not list it
    UNIQUE (provider, region, offer_key)
);

CREATE TABLE catalog_price_point (
    offer_id     TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    hourly_price BIGINT NOT NULL,
    available    BIGINT NOT NULL CHECK (available IN (0, 1)),
    stock        BIGINT,
    PRIMARY KEY (offer_id, at)
);
CREATE INDEX catalog_price_point_at ON catalog_price_point (at);

CREATE TABLE catalog_volume_price (
    provider    TEXT   NOT NULL,
    region      TEXT   NOT NULL,
    cost_price  BIGINT NOT NULL,           -- of a GB for an hour, what the provider asks
    per_gb_hour BIGINT NOT NULL,           -- what a tenant pays
    min_size_gb BIGINT NOT NULL,
    max_size_gb BIGINT NOT NULL,
    PRIMARY KEY (provider, region)
);

-- +goose Down
DROP TABLE catalog_volume_price;
DROP TABLE catalog_price_point;
DROP TABLE catalog_offer;
DROP TABLE catalog_provider;
DROP TABLE catalog_version;
