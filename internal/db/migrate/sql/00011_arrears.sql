-- +goose Up
CREATE TABLE arrears (
    account_id  TEXT   PRIMARY KEY,
    since       BIGINT NOT NULL,           -- the stretch below zero that the rest is about
    warned_at   BIGINT NOT NULL,
    ended_at    BIGINT,                    -- the deployments were ended
    deleted_at  BIGINT                     -- the volumes were deleted
);

-- +goose Down
DROP TABLE arrears;
