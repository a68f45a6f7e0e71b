-- +goose Up
CREATE TABLE audit (
    id         TEXT   PRIMARY KEY,
    account_id TEXT   NOT NULL,            -- '' = no account's: a sign-in with an address that nobody has
    actor_kind TEXT   NOT NULL,            -- person, key, operator, system
    actor_id   TEXT   NOT NULL,
    actor_name TEXT   NOT NULL,            -- as it was then
    action     TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    request_id TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX audit_account ON audit (account_id, id);
CREATE INDEX audit_actor ON audit (account_id, actor_id, id);
CREATE INDEX audit_subject ON audit (account_id, subject, id);

-- +goose Down
DROP TABLE audit;
