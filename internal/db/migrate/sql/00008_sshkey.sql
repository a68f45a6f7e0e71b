-- +goose Up
CREATE TABLE ssh_key (
    id          TEXT   PRIMARY KEY,
    account_id  TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    public_key  TEXT   NOT NULL,           -- one canonical line: type, base64, comment
    fingerprint TEXT   NOT NULL,           -- SHA256:…, of the key alone
    type        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    UNIQUE (account_id, fingerprint),
    UNIQUE (account_id, name)
);
CREATE INDEX ssh_key_account ON ssh_key (account_id, id);
CREATE INDEX ssh_key_by_name ON ssh_key (account_id, lower(name), id);

-- +goose Down
DROP TABLE ssh_key;
