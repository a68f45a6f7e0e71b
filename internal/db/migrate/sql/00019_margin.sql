-- +goose Up

-- How often in a row a provider did not answer its sync.
ALTER TABLE catalog_provider ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;

-- What the provider asked for a GB and hour when the volume was made; for older ones, what it asks now.
ALTER TABLE volume ADD COLUMN cost_per_gb_hour BIGINT NOT NULL DEFAULT 0;
UPDATE volume SET cost_per_gb_hour = COALESCE(
    (SELECT p.cost_price FROM catalog_volume_price p WHERE p.provider = volume.provider AND p.region = volume.region), 0);

-- From when to when something costs what at its provider. Its cost over any part of that is a difference of two exact amounts.
CREATE TABLE meter_cost (
    subject     TEXT   NOT NULL,
    from_at     BIGINT NOT NULL,           -- whole seconds
    to_at       BIGINT,                    -- NULL while it costs
    account_id  TEXT   NOT NULL,
    provider    TEXT   NOT NULL,
    gpu_type    TEXT   NOT NULL,
    hourly_cost BIGINT NOT NULL CHECK (hourly_cost >= 0),
    PRIMARY KEY (subject, from_at)
);
CREATE INDEX meter_cost_from ON meter_cost (from_at);
INSERT INTO meter_cost (subject, from_at, to_at, account_id, provider, gpu_type, hourly_cost)
    SELECT id, started_at, released_at, account_id, provider, gpu_type, cost_price FROM deployment WHERE started_at IS NOT NULL;
INSERT INTO meter_cost (subject, from_at, to_at, account_id, provider, gpu_type, hourly_cost)
    SELECT id, available_at, deleted_at, account_id, provider, '', cost_per_gb_hour * size_gb FROM volume WHERE available_at IS NOT NULL AND status <> 'failed';

CREATE INDEX wallet_charge_from ON wallet_charge (from_at);

-- +goose Down
DROP INDEX wallet_charge_from;
DROP TABLE meter_cost;
ALTER TABLE volume DROP COLUMN cost_per_gb_hour;
ALTER TABLE catalog_provider DROP COLUMN failures;
