-- +goose Up
-- Events get a place in their account's history, counted under a row lock, so that whoever has read up to one can go on
-- exactly after it. What happened before is numbered by id, which is the order of its making.
CREATE TABLE event_counter (
    account_id TEXT   PRIMARY KEY,
    last       BIGINT NOT NULL              -- seq of the account's newest event
);
ALTER TABLE event ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
UPDATE event SET seq = numbered.n
FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY account_id ORDER BY id) AS n FROM event) AS numbered
WHERE numbered.id = event.id;
INSERT INTO event_counter (account_id, last) SELECT account_id, MAX(seq) FROM event GROUP BY account_id;
DROP INDEX event_account;
DROP INDEX event_subject;
CREATE UNIQUE INDEX event_account ON event (account_id, seq);
CREATE INDEX event_subject ON event (subject, seq);

-- +goose Down
DROP INDEX event_account;
DROP INDEX event_subject;
ALTER TABLE event DROP COLUMN seq;
DROP TABLE event_counter;
CREATE INDEX event_subject ON event (subject, id);
CREATE INDEX event_account ON event (account_id, id);
