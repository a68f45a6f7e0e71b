-- +goose Up
CREATE TABLE account (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE api_key (
    id           TEXT   PRIMARY KEY,
    account_id   TEXT   NOT NULL REFERENCES account (id),
    name         TEXT   NOT NULL,
    secret_hash  TEXT   NOT NULL UNIQUE,   -- SHA-256 of the whole secret, in hex; the secret itself is nowhere
    prefix       TEXT   NOT NULL,          -- the secret's first characters, to be recognised by
    scopes       TEXT   NOT NULL,          -- apart by spaces
    networks     TEXT   NOT NULL,          -- canonical, apart by spaces; '' = from anywhere
    limit_read   BIGINT,                   -- per minute; NULL = the default, also a later one
    limit_write  BIGINT,
    limit_deploy BIGINT,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    last_used_at BIGINT,
    created_at   BIGINT NOT NULL
);
CREATE INDEX api_key_account ON api_key (account_id, id);
CREATE TABLE person (
    id            TEXT   PRIMARY KEY,
    account_id    TEXT   NOT NULL REFERENCES account (id),
    email         TEXT   NOT NULL UNIQUE,  -- normalised
    password_hash TEXT   NOT NULL,         -- argon2id with its parameters and salt
    created_at    BIGINT NOT NULL
);
CREATE INDEX person_account ON person (account_id, id);
CREATE TABLE session (
    token_hash TEXT   PRIMARY KEY,         -- SHA-256 of the token, in hex
    person_id  TEXT   NOT NULL REFERENCES person (id),
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL             -- at the latest, however much it is used
);
CREATE INDEX session_person ON session (person_id);
CREATE INDEX session_expires ON session (expires_at);
CREATE INDEX api_key_name ON api_key (account_id, lower(name), id);

-- +goose Down
DROP TABLE session;
DROP TABLE person;
DROP TABLE api_key;
DROP TABLE account;
