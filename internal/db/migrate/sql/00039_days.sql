-- +goose Up

-- What the hours that began on a day, counted from 1970 in UTC, have cost, less what was refunded of them; changed in the transaction of the
-- charge or refund. Without them a year's usage adds up every hour of it.
CREATE TABLE wallet_day (
    account_id TEXT   NOT NULL,
    day        BIGINT NOT NULL,
    provider   TEXT   NOT NULL,
    gpu_type   TEXT   NOT NULL,
    cost       BIGINT NOT NULL,
    PRIMARY KEY (account_id, day, provider, gpu_type)
);
CREATE INDEX wallet_day_day ON wallet_day (day);
INSERT INTO wallet_day (account_id, day, provider, gpu_type, cost)
    SELECT account_id, from_at / 86400000000, provider, gpu_type, CAST(SUM(amount - refunded) AS BIGINT) FROM wallet_charge
    GROUP BY account_id, from_at / 86400000000, provider, gpu_type;

-- The same for each deployment and volume.
CREATE TABLE wallet_day_subject (
    account_id TEXT   NOT NULL,
    day        BIGINT NOT NULL,
    subject    TEXT   NOT NULL,
    name       TEXT   NOT NULL,            -- the last one by the alphabet, where it had several
    cost       BIGINT NOT NULL,
    PRIMARY KEY (account_id, day, subject)
);
INSERT INTO wallet_day_subject (account_id, day, subject, name, cost)
    SELECT account_id, from_at / 86400000000, subject, MAX(name), CAST(SUM(amount - refunded) AS BIGINT) FROM wallet_charge
    GROUP BY account_id, from_at / 86400000000, subject;

-- Which costs an interval touches: those that end in it or later, and those that go on.
CREATE INDEX meter_cost_to ON meter_cost (to_at) WHERE to_at IS NOT NULL;
CREATE INDEX meter_cost_running ON meter_cost (from_at) WHERE to_at IS NULL;
