-- +goose Up

-- Programs that ask for an API key by a code which a signed-in person types. Neither code is here, only its hash; the key is made when the
-- person allows it, with a secret that nobody knows, and gets the one that is told when the program claims it.
CREATE TABLE login (
    id          TEXT   PRIMARY KEY,
    device_hash TEXT   NOT NULL UNIQUE,            -- SHA-256 in hex of what the program keeps
    user_hash   TEXT   NOT NULL UNIQUE,            -- SHA-256 in hex of what the person types
    client      TEXT   NOT NULL,                   -- what the program calls itself
    scopes      TEXT   NOT NULL,                   -- that it asks for, apart by spaces; '' = it does not say
    address     TEXT   NOT NULL,                   -- from where it was begun
    network     TEXT   NOT NULL,                   -- what counts as one address
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    decided_at  BIGINT,                            -- NULL = nobody has allowed or denied it
    decided_by  TEXT   REFERENCES person (id),
    account_id  TEXT   REFERENCES account (id),    -- in which it was decided
    key_id      TEXT   REFERENCES api_key (id),    -- NULL = denied, once it is decided
    claimed_at  BIGINT                             -- when the key's secret was first told
);
CREATE INDEX login_expires ON login (expires_at);

-- +goose Down
DROP TABLE login;
