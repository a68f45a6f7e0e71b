-- +goose Up

-- What is in each wallet now: a projection of wallet_entry, changed with it in one transaction. The checks stop text and
-- an overflow that has become a floating-point number, which SQLite would otherwise keep.
CREATE TABLE wallet (
    account_id     TEXT   PRIMARY KEY,
    available      BIGINT NOT NULL CHECK (available = CAST(available AS BIGINT)),   -- micro-dollars; below 0 is a debt
    held           BIGINT NOT NULL CHECK (held >= 0 AND held = CAST(held AS BIGINT)),
    seq            BIGINT NOT NULL,        -- of the newest line, which is the number of lines
    negative_since BIGINT                  -- NULL while available >= 0
);
CREATE INDEX wallet_negative ON wallet (negative_since, account_id) WHERE negative_since IS NOT NULL;

-- The lines of the statements. Rows are added, never changed.
CREATE TABLE wallet_transaction (
    id              TEXT   PRIMARY KEY,
    account_id      TEXT   NOT NULL,
    seq             BIGINT NOT NULL,       -- 1, 2, 3, … for each account, without gaps
    type            TEXT   NOT NULL,
    amount          BIGINT NOT NULL,       -- the change of the available money
    balance_after   BIGINT NOT NULL,
    available_after BIGINT NOT NULL,
    description     TEXT   NOT NULL,
    subject         TEXT,                  -- what was billed; NULL for money that came in
    hour            BIGINT,                -- of a charge and its refund, from 0
    from_at         BIGINT,
    to_at           BIGINT,
    hourly_price    BIGINT,
    provider        TEXT   NOT NULL,
    region          TEXT   NOT NULL,
    gpu_type        TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    UNIQUE (account_id, seq)
);
CREATE INDEX wallet_transaction_type ON wallet_transaction (account_id, type, seq);
CREATE INDEX wallet_transaction_subject ON wallet_transaction (account_id, subject, seq);
CREATE INDEX wallet_transaction_created ON wallet_transaction (account_id, created_at);

-- The two sides of each line. Rows are added, never changed.
CREATE TABLE wallet_entry (
    transaction_id TEXT   NOT NULL,
    book           TEXT   NOT NULL,        -- wallet/<account>, hold/<account>, revenue, funding
    amount         BIGINT NOT NULL,
    PRIMARY KEY (transaction_id, book)
);

-- Money that came in, once for each key.
CREATE TABLE wallet_credit (
    dedupe     TEXT   PRIMARY KEY,
    account_id TEXT   NOT NULL,
    amount     BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Money set aside, once for each subject.
CREATE TABLE wallet_hold (
    subject     TEXT   PRIMARY KEY,
    account_id  TEXT   NOT NULL,
    amount      BIGINT NOT NULL,
    description TEXT   NOT NULL,
    provider    TEXT   NOT NULL,
    region      TEXT   NOT NULL,
    gpu_type    TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    settled_at  BIGINT                     -- NULL while the money is set aside
);

-- Hours paid, once for each subject and hour, and what was given back of each.
CREATE TABLE wallet_charge (
    subject      TEXT   NOT NULL,
    hour         BIGINT NOT NULL,
    account_id   TEXT   NOT NULL,
    amount       BIGINT NOT NULL,
    hourly_price BIGINT NOT NULL,
    from_at      BIGINT NOT NULL,
    refunded     BIGINT NOT NULL CHECK (refunded >= 0 AND refunded <= amount),
    refunded_at  BIGINT,                   -- NULL until the one refund
    provider     TEXT   NOT NULL,
    region       TEXT   NOT NULL,
    gpu_type     TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    PRIMARY KEY (subject, hour)
);
CREATE INDEX wallet_charge_usage ON wallet_charge (account_id, from_at);

-- +goose Down
DROP TABLE wallet_charge;
DROP TABLE wallet_hold;
DROP TABLE wallet_credit;
DROP TABLE wallet_entry;
DROP TABLE wallet_transaction;
DROP TABLE wallet;
