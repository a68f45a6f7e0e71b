-- +goose Up
CREATE TABLE totp (
    person_id    TEXT   PRIMARY KEY REFERENCES person (id),
    secret       TEXT   NOT NULL,          -- sealed
    last_step    BIGINT NOT NULL,          -- of the last code that was used: none up to here works again
    confirmed_at BIGINT,                   -- NULL = shown, and not yet proved to be in an app
    created_at   BIGINT NOT NULL
);
CREATE TABLE recovery_code (
    person_id TEXT NOT NULL REFERENCES person (id),
    code_hash TEXT NOT NULL,               -- SHA-256 in hex; the row goes when the code is used
    PRIMARY KEY (person_id, code_hash)
);
CREATE TABLE passkey (
    id            TEXT   PRIMARY KEY,
    person_id     TEXT   NOT NULL REFERENCES person (id),
    credential_id TEXT   NOT NULL UNIQUE,  -- base64url
    name          TEXT   NOT NULL,
    credential    TEXT   NOT NULL,         -- public key, counter and flags as JSON
    created_at    BIGINT NOT NULL,
    used_at       BIGINT
);
CREATE INDEX passkey_person ON passkey (person_id, id);
CREATE TABLE challenge (
    id         TEXT   PRIMARY KEY,
    kind       TEXT   NOT NULL,
    person_id  TEXT   NOT NULL,            -- '' = whoever answers it
    data       TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX challenge_expires ON challenge (expires_at);

-- +goose Down
DROP TABLE challenge;
DROP TABLE passkey;
DROP TABLE recovery_code;
DROP TABLE totp;
