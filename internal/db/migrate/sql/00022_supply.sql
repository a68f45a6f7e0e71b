-- +goose Up

-- The accounts at upstream clouds that this Billet sells from.
CREATE TABLE supply_provider (
    slug           TEXT   NOT NULL PRIMARY KEY,
    kind           TEXT   NOT NULL,           -- which adapter
    name           TEXT   NOT NULL,
    base_url       TEXT   NOT NULL,           -- '' for the cloud's own
    settings       TEXT   NOT NULL,           -- JSON, name to value
    credential     TEXT   NOT NULL,           -- sealed
    markup         BIGINT,                    -- basis points; NULL for the server's
    created_at     BIGINT NOT NULL,
    key_changed_at BIGINT NOT NULL
);
