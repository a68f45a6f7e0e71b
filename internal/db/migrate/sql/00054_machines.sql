-- +goose Up

-- How long a launch of the offer may take, in seconds, where that is shorter than at its provider otherwise; 0 where it is not.
ALTER TABLE catalog_offer ADD COLUMN launch_limit BIGINT NOT NULL DEFAULT 0;

-- The servers of a machine that has several, as JSON, and what the provider states that the machine costs an hour; 0 where it does not.
ALTER TABLE deployment ADD COLUMN nodes TEXT NOT NULL DEFAULT '[]';
ALTER TABLE deployment ADD COLUMN machine_cost BIGINT NOT NULL DEFAULT 0;

-- How the host keys came to be known: provider, issued, first_connection, or ''.
ALTER TABLE deployment ADD COLUMN host_key_source TEXT NOT NULL DEFAULT '';
-- The host key that the machine was given, and its private part, sealed, until it has shown it.
ALTER TABLE deployment ADD COLUMN host_key_public TEXT NOT NULL DEFAULT '';
ALTER TABLE deployment ADD COLUMN host_key_sealed TEXT NOT NULL DEFAULT '';
-- Until when a new host key is to be learned, after a reinstallation.
ALTER TABLE deployment ADD COLUMN host_key_by BIGINT;
UPDATE deployment SET host_key_source = 'provider' WHERE ssh_host_keys <> '[]';

-- +goose Down
ALTER TABLE deployment DROP COLUMN host_key_by;
ALTER TABLE deployment DROP COLUMN host_key_sealed;
ALTER TABLE deployment DROP COLUMN host_key_public;
ALTER TABLE deployment DROP COLUMN host_key_source;
ALTER TABLE deployment DROP COLUMN machine_cost;
ALTER TABLE deployment DROP COLUMN nodes;
ALTER TABLE catalog_offer DROP COLUMN launch_limit;
