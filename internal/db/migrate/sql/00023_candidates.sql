-- +goose Up

-- What a deployment goes on to where an offer fails before it runs, and what failed so far; JSON lists.
ALTER TABLE deployment ADD COLUMN plans TEXT NOT NULL DEFAULT '[]';
ALTER TABLE deployment ADD COLUMN attempts TEXT NOT NULL DEFAULT '[]';

-- Prices that were promised for a short time.
CREATE TABLE quote (
    id           TEXT   NOT NULL PRIMARY KEY,
    account_id   TEXT   NOT NULL,
    offer_id     TEXT   NOT NULL,
    hourly_price BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_by      TEXT                -- the deployment that took it
);
CREATE INDEX quote_expires ON quote (expires_at);
