-- +goose Up

-- How often something that can be guessed was tried within a window: passwords, codes of authenticator apps, codes of device logins, invitations.
-- Replicas share it. A row is short-lived: it is deleted when its window has passed.
CREATE TABLE throttle (
    source     TEXT   PRIMARY KEY,   -- SHA-256 in hex of what is counted: no address, email or mistyped password is kept
    tries      BIGINT NOT NULL,
    until      BIGINT NOT NULL       -- when the window ends
);
CREATE INDEX throttle_until ON throttle (until);

-- +goose Down
DROP TABLE throttle;
