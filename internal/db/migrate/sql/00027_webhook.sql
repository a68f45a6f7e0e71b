-- +goose Up

-- Addresses to which an account's events are sent.
CREATE TABLE webhook (
    id            TEXT   NOT NULL PRIMARY KEY,
    account_id    TEXT   NOT NULL,
    url           TEXT   NOT NULL,
    description   TEXT   NOT NULL,
    types         TEXT   NOT NULL,            -- JSON list; [] for all
    state         TEXT   NOT NULL,            -- enabled, disabled, paused
    reason        TEXT   NOT NULL,            -- why it is not enabled, where nobody asked for that
    secret        TEXT   NOT NULL,            -- sealed
    old_secret    TEXT   NOT NULL DEFAULT '', -- sealed; the one before
    old_until     BIGINT,                     -- until when that one signs, too
    after_event   TEXT   NOT NULL,            -- the newest event that became a delivery, or was not wanted
    last          BIGINT NOT NULL DEFAULT 0,  -- place of its newest delivery
    failing_since BIGINT,                     -- first failure after the last success
    delivered_at  BIGINT,                     -- last success
    created_at    BIGINT NOT NULL
);
CREATE INDEX webhook_account ON webhook (account_id, id);

-- One event for one of them.
CREATE TABLE webhook_delivery (
    id         TEXT   NOT NULL PRIMARY KEY,
    webhook_id TEXT   NOT NULL,
    place      BIGINT NOT NULL,               -- first attempts are made in this order
    event_id   TEXT   NOT NULL,
    type       TEXT   NOT NULL,
    body       TEXT   NOT NULL,
    state      TEXT   NOT NULL,               -- pending, delivered, failed
    attempts   BIGINT NOT NULL,               -- in all
    tries      BIGINT NOT NULL,               -- since it was queued
    queued_at  BIGINT NOT NULL,               -- when it was made, or sent anew
    next_at    BIGINT NOT NULL,               -- of a pending one that was tried: not before
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX webhook_delivery_event ON webhook_delivery (webhook_id, event_id);
CREATE UNIQUE INDEX webhook_delivery_place ON webhook_delivery (webhook_id, place);
CREATE INDEX webhook_delivery_first ON webhook_delivery (webhook_id, place) WHERE state = 'pending' AND attempts = 0;
CREATE INDEX webhook_delivery_again ON webhook_delivery (webhook_id, next_at, place) WHERE state = 'pending' AND attempts > 0;
CREATE INDEX webhook_delivery_created ON webhook_delivery (created_at);

CREATE TABLE webhook_attempt (
    delivery_id TEXT   NOT NULL,
    number      BIGINT NOT NULL,              -- from 1
    at          BIGINT NOT NULL,
    status      BIGINT NOT NULL,              -- of the answer; 0 for none
    duration_ms BIGINT NOT NULL,
    problem     TEXT   NOT NULL,
    response    TEXT   NOT NULL,
    PRIMARY KEY (delivery_id, number)
);
