-- +goose Up

-- What a comparison of a provider's lists with our records has found and nobody owns.
CREATE TABLE finding (
    id            TEXT   PRIMARY KEY,
    kind          TEXT   NOT NULL,
    provider      TEXT   NOT NULL,
    subject       TEXT   NOT NULL,         -- what it is unique by: the reference, or the provider's own name
    upstream_id   TEXT   NOT NULL,         -- the provider's own name, or ''
    reference     TEXT   NOT NULL,         -- as the provider tells it, or ''
    deployment_id TEXT   NOT NULL,         -- where there is one, or ''
    volume_id     TEXT   NOT NULL,
    detail        TEXT   NOT NULL,
    endable       BIGINT NOT NULL CHECK (endable IN (0, 1)), -- Billet can end it without touching anything that is owned
    state         TEXT   NOT NULL,         -- open, ended, dismissed, settled
    note          TEXT   NOT NULL,         -- the operator's
    problem       TEXT   NOT NULL,         -- what the provider said last to ending it
    first_seen_at BIGINT NOT NULL,
    last_seen_at  BIGINT NOT NULL,
    end_after     BIGINT,                  -- when policy ends it; NULL where it does not
    held          BIGINT NOT NULL CHECK (held IN (0, 1)),    -- too many were open at once: no policy ends it any more
    ending_since  BIGINT,                  -- the provider is being asked to end it
    confirmed_at  BIGINT,                  -- the provider says that it is gone; its list is to agree
    closed_at     BIGINT                   -- NULL while it is there
);
CREATE UNIQUE INDEX finding_live ON finding (provider, kind, subject) WHERE closed_at IS NULL;
CREATE INDEX finding_state ON finding (state, provider, kind);

-- Since when a machine is to be ended, so that an end that takes too long is noticed.
ALTER TABLE deployment ADD COLUMN ending_since BIGINT;
CREATE INDEX deployment_unreleased ON deployment (provider) WHERE released_at IS NULL;
CREATE INDEX volume_live ON volume (provider) WHERE status NOT IN ('failed', 'deleted');

-- +goose Down
DROP INDEX volume_live;
DROP INDEX deployment_unreleased;
ALTER TABLE deployment DROP COLUMN ending_since;
DROP TABLE finding;
