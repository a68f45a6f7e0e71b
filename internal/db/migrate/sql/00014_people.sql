-- +goose Up
-- person.account_id is from now on where the person's next session begins; who belongs where is in membership.
ALTER TABLE person ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE person ADD COLUMN operator BOOLEAN NOT NULL DEFAULT FALSE;
CREATE TABLE membership (
    account_id TEXT   NOT NULL REFERENCES account (id),
    person_id  TEXT   NOT NULL REFERENCES person (id),
    role       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT,                     -- last seen in this account; NULL = never
    PRIMARY KEY (account_id, person_id)
);
CREATE INDEX membership_person ON membership (person_id, created_at, account_id);
INSERT INTO membership (account_id, person_id, role, created_at) SELECT account_id, id, 'owner', created_at FROM person;

-- A session without an account is nobody's: the column is nullable only because SQLite cannot add another kind.
ALTER TABLE session ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN account_id TEXT REFERENCES account (id);
ALTER TABLE session ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';
UPDATE session SET id = 'ses_' || substr(token_hash, 1, 26), account_id = (SELECT p.account_id FROM person p WHERE p.id = session.person_id);
CREATE UNIQUE INDEX session_id ON session (id);

ALTER TABLE api_key ADD COLUMN created_by TEXT REFERENCES person (id); -- NULL = the operator, or a time when nobody wrote it down
CREATE INDEX api_key_created_by ON api_key (created_by, account_id);

CREATE TABLE invitation (
    id          TEXT   PRIMARY KEY,
    account_id  TEXT   NOT NULL REFERENCES account (id),
    role        TEXT   NOT NULL,
    email       TEXT   NOT NULL,           -- normalised; '' = whoever has the link
    token_hash  TEXT   NOT NULL UNIQUE,    -- SHA-256 of the token, in hex
    created_by  TEXT   NOT NULL REFERENCES person (id),
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    accepted_at BIGINT,
    accepted_by TEXT   REFERENCES person (id),
    revoked_at  BIGINT
);
CREATE INDEX invitation_account ON invitation (account_id, id);

-- +goose Down
DROP TABLE invitation;
DROP INDEX api_key_created_by;
ALTER TABLE api_key DROP COLUMN created_by;
DROP INDEX session_id;
ALTER TABLE session DROP COLUMN user_agent;
ALTER TABLE session DROP COLUMN address;
ALTER TABLE session DROP COLUMN account_id;
ALTER TABLE session DROP COLUMN id;
DROP TABLE membership;
ALTER TABLE person DROP COLUMN operator;
ALTER TABLE person DROP COLUMN name;
