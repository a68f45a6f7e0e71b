-- +goose Up
-- The account whose work a job is, or a name of its own for the server's: what is due is claimed in turns of the owners.
ALTER TABLE job ADD COLUMN owner TEXT NOT NULL DEFAULT '';
UPDATE job SET owner = COALESCE(
    (SELECT account_id FROM deployment WHERE deployment.id = job.subject),
    (SELECT account_id FROM volume WHERE volume.id = job.subject),
    (SELECT account_id FROM webhook WHERE webhook.id = job.subject),
    CASE WHEN kind = 'finding-end' THEN 'findings' WHEN kind = 'arrears' THEN subject ELSE kind || '/' || subject END);

-- +goose Down
ALTER TABLE job DROP COLUMN owner;
