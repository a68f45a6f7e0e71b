-- +goose Up

-- What lists are filtered and sorted by, so that a page costs the same however many rows there are. Names are sorted and searched in
-- lower case as this program writes it, not as the database's lower() does: an index must not change with a version of something else.
ALTER TABLE deployment ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
UPDATE deployment SET name_key = lower(name);
CREATE INDEX deployment_by_name ON deployment (account_id, name_key, id);
CREATE INDEX deployment_by_provider ON deployment (account_id, provider, id);
CREATE INDEX deployment_by_region ON deployment (account_id, region, id);
ALTER TABLE deployment_tag ADD COLUMN account_id TEXT NOT NULL DEFAULT '';
UPDATE deployment_tag SET account_id = (SELECT d.account_id FROM deployment d WHERE d.id = deployment_tag.deployment_id);
CREATE INDEX deployment_tag_account ON deployment_tag (account_id, tag, deployment_id);

ALTER TABLE volume ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
UPDATE volume SET name_key = lower(name);
DROP INDEX volume_account;
CREATE INDEX volume_account ON volume (account_id, id) WHERE status <> 'deleted';
CREATE INDEX volume_by_name ON volume (account_id, name_key, id) WHERE status <> 'deleted';
ALTER TABLE ssh_key ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
UPDATE ssh_key SET name_key = lower(name);
CREATE INDEX ssh_key_by_name ON ssh_key (account_id, name_key, id);
ALTER TABLE api_key ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
UPDATE api_key SET name_key = lower(name);
CREATE INDEX api_key_by_name ON api_key (account_id, name_key, id);

-- Filtered statements and audits are in the order of time, so that an index serves an interval of it together with a filter.
DROP INDEX wallet_transaction_type;
DROP INDEX wallet_transaction_subject;
DROP INDEX wallet_transaction_created;
CREATE INDEX wallet_transaction_type ON wallet_transaction (account_id, type, created_at, seq);
CREATE INDEX wallet_transaction_subject ON wallet_transaction (account_id, subject, created_at, seq);
CREATE INDEX wallet_transaction_created ON wallet_transaction (account_id, created_at, seq);
DROP INDEX audit_account;
DROP INDEX audit_actor;
DROP INDEX audit_subject;
CREATE INDEX audit_account ON audit (account_id, created_at, id);
CREATE INDEX audit_actor ON audit (account_id, actor_id, created_at, id);
CREATE INDEX audit_action ON audit (account_id, action, created_at, id);
CREATE INDEX audit_subject ON audit (account_id, subject, created_at, id);

DROP INDEX event_subject;
CREATE INDEX event_subject ON event (account_id, subject, seq);
CREATE INDEX event_type ON event (account_id, type, seq);
CREATE INDEX webhook_delivery_state ON webhook_delivery (webhook_id, state, place);
CREATE INDEX finding_by_state ON finding (state, id);
CREATE INDEX finding_by_kind ON finding (kind, id);
CREATE INDEX finding_by_provider ON finding (provider, id);
CREATE INDEX job_failing ON job (failures, id) WHERE failures > 0;
CREATE INDEX membership_account ON membership (account_id, created_at, person_id);
DROP INDEX session_person;
CREATE INDEX session_person ON session (person_id, created_at, id);
