-- +goose Up
CREATE TABLE event (
    id         TEXT   PRIMARY KEY,
    account_id TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    type       TEXT   NOT NULL,
    data       TEXT   NOT NULL,            -- JSON object
    created_at BIGINT NOT NULL
);
CREATE INDEX event_subject ON event (subject, id);
CREATE INDEX event_account ON event (account_id, id);

-- +goose Down
DROP TABLE event;
