-- +goose Up
CREATE TABLE idempotency (
    account_id   TEXT   NOT NULL,
    key          TEXT   NOT NULL,          -- the client's Idempotency-Key, 1 to 255 visible characters
    request_hash TEXT   NOT NULL,          -- of method, path and canonical body
    status       BIGINT NOT NULL,          -- HTTP status of the answer; 0 inside the transaction that is finding it
    header       TEXT   NOT NULL,          -- JSON object of strings
    body         TEXT   NOT NULL,          -- base64 of the bytes that were sent
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_created ON idempotency (created_at);

-- +goose Down
DROP TABLE idempotency;
