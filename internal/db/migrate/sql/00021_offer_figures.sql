-- +goose Up

-- What a provider says of an offer's region, where it is not among those that it names in general, and the offer's own minimum.
ALTER TABLE catalog_offer ADD COLUMN region_name TEXT NOT NULL DEFAULT '';
ALTER TABLE catalog_offer ADD COLUMN country TEXT NOT NULL DEFAULT '';
ALTER TABLE catalog_offer ADD COLUMN minimum_runtime BIGINT NOT NULL DEFAULT 0; -- seconds

-- What became of each launch that nobody called off, for 30 days.
CREATE TABLE catalog_attempt (
    deployment_id TEXT   NOT NULL,
    offer_id      TEXT   NOT NULL,
    provider      TEXT   NOT NULL,
    instance_type TEXT   NOT NULL,
    at            BIGINT NOT NULL,          -- when it was known
    outcome       TEXT   NOT NULL,          -- ssh, no_capacity or failed
    seconds       BIGINT NOT NULL,          -- from the accepted deploy, or the end of the candidate before, until then
    PRIMARY KEY (deployment_id, offer_id)   -- so that each counts once
);
CREATE INDEX catalog_attempt_at ON catalog_attempt (at);
INSERT INTO catalog_attempt (deployment_id, offer_id, provider, instance_type, at, outcome, seconds)
    SELECT id, offer_id, provider, instance_type, started_at, 'ssh', (started_at - created_at) / 1000000 FROM deployment WHERE started_at IS NOT NULL;
INSERT INTO catalog_attempt (deployment_id, offer_id, provider, instance_type, at, outcome, seconds)
    SELECT id, offer_id, provider, instance_type, ended_at, CASE WHEN cause = 'no_capacity' THEN 'no_capacity' ELSE 'failed' END, (ended_at - created_at) / 1000000
    FROM deployment WHERE status = 'failed' AND ended_at IS NOT NULL;

-- By how many basis points an account's prices are above the providers' own; NULL where it has the usual ones.
ALTER TABLE account ADD COLUMN markup BIGINT CHECK (markup BETWEEN 0 AND 100000);
CREATE INDEX account_markup ON account (id) WHERE markup IS NOT NULL;

-- +goose Down
DROP INDEX account_markup;
ALTER TABLE account DROP COLUMN markup;
DROP TABLE catalog_attempt;
ALTER TABLE catalog_offer DROP COLUMN minimum_runtime;
ALTER TABLE catalog_offer DROP COLUMN country;
ALTER TABLE catalog_offer DROP COLUMN region_name;
