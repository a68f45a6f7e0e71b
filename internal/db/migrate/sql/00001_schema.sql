-- +goose Up

-- What each migration said about itself, for servers that do not have its file.
CREATE TABLE schema_migration (
    migration   BIGINT PRIMARY KEY,
    kind        TEXT   NOT NULL CHECK (kind IN ('first', 'expand', 'contract')),
    works_with  BIGINT NOT NULL,               -- smallest schema number of servers that work with the database after it
    fingerprint TEXT   NOT NULL,               -- SHA-256 of its statements, in hex
    applied_by  TEXT   NOT NULL                -- version of billetd
);

CREATE TABLE account (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    markup     BIGINT CHECK (markup BETWEEN 0 AND 100000),
    name_key   TEXT   NOT NULL DEFAULT '',
    suspended_at     BIGINT,                   -- NULL while the account may start something
    suspended_reason TEXT   NOT NULL DEFAULT '',
    trusted    BIGINT NOT NULL DEFAULT 0 CHECK (trusted IN (0, 1)) -- 1 = it is offered what is for trusted tenants only
);
CREATE INDEX account_markup ON account (id) WHERE markup IS NOT NULL;
CREATE INDEX account_trusted ON account (id) WHERE trusted = 1;

-- Not user, which SQL reserves. account_id is where the user's next session begins; who belongs where is in membership.
CREATE TABLE users (
    id            TEXT   PRIMARY KEY,
    account_id    TEXT   NOT NULL REFERENCES account (id),
    email         TEXT   NOT NULL UNIQUE,      -- normalized
    password_hash TEXT   NOT NULL,             -- argon2id with its parameters and salt
    created_at    BIGINT NOT NULL,
    name          TEXT   NOT NULL DEFAULT '',
    operator      BIGINT NOT NULL DEFAULT 0,
    email_proved_at BIGINT                     -- when the user opened a link that was mailed to the address; NULL if never
);
CREATE INDEX users_account ON users (account_id, id);

CREATE TABLE api_key (
    id           TEXT   PRIMARY KEY,
    account_id   TEXT   NOT NULL REFERENCES account (id),
    name         TEXT   NOT NULL,
    secret_hash  TEXT   NOT NULL UNIQUE,       -- SHA-256 of the whole secret, in hex; the secret itself is nowhere
    prefix       TEXT   NOT NULL,              -- the secret's first characters, to recognize it by
    scopes       TEXT   NOT NULL,              -- apart by spaces
    networks     TEXT   NOT NULL,              -- canonical, apart by spaces; '' = from anywhere
    limit_read   BIGINT,                       -- per minute; NULL = the default, also a later one
    limit_write  BIGINT,
    limit_deploy BIGINT,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    last_used_at BIGINT,
    created_at   BIGINT NOT NULL,
    created_by   TEXT   REFERENCES users (id),
    name_key     TEXT   NOT NULL DEFAULT '',
    project      TEXT   NOT NULL DEFAULT ''    -- the only one that the key sees, and that its resources get; '' = all
);
CREATE INDEX api_key_account ON api_key (account_id, id);
CREATE INDEX api_key_created_by ON api_key (created_by, account_id);
CREATE INDEX api_key_by_name ON api_key (account_id, name_key, id);

CREATE TABLE session (
    token_hash TEXT   PRIMARY KEY,             -- SHA-256 of the token, in hex
    user_id    TEXT   NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,                -- at the latest, however much it is used
    id         TEXT   NOT NULL DEFAULT '',
    account_id TEXT   REFERENCES account (id),
    address    TEXT   NOT NULL DEFAULT '',
    user_agent TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX session_expires ON session (expires_at);
CREATE UNIQUE INDEX session_id ON session (id);
CREATE INDEX session_by_user ON session (user_id, created_at, id);

CREATE TABLE account_view (                    -- an operator's session that reads an account as a viewer would
    session_id TEXT   PRIMARY KEY,
    user_id    TEXT   NOT NULL REFERENCES users (id),
    user_name  TEXT   NOT NULL,                -- as it was then
    home_id    TEXT   NOT NULL,                -- the account that the session works in otherwise
    account_id TEXT   NOT NULL REFERENCES account (id),
    reason     TEXT   NOT NULL,
    started_at BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL
);
CREATE INDEX account_view_ends ON account_view (ends_at);

CREATE TABLE wallet (
    account_id     TEXT   PRIMARY KEY,
    available      BIGINT NOT NULL CHECK (available = CAST(available AS BIGINT)), -- micro-dollars; below 0 is a debt
    held           BIGINT NOT NULL CHECK (held >= 0 AND held = CAST(held AS BIGINT)),
    seq            BIGINT NOT NULL,            -- of the newest line, which is the number of lines
    negative_since BIGINT,                     -- NULL while available >= 0
    hash           TEXT   NOT NULL,            -- of the newest line; '' while there is none
    low_mark       BIGINT                      -- a change that leaves less available is told; NULL = none
);

CREATE TABLE wallet_transaction (
    id              TEXT   PRIMARY KEY,
    account_id      TEXT   NOT NULL,
    seq             BIGINT NOT NULL,           -- 1, 2, 3, … for each account, without gaps
    type            TEXT   NOT NULL,
    amount          BIGINT NOT NULL,           -- the change of the available money
    balance_after   BIGINT NOT NULL,
    available_after BIGINT NOT NULL,
    description     TEXT   NOT NULL,
    subject         TEXT,                      -- what was billed; NULL for money that came in
    hour            BIGINT,                    -- of a charge and its refund, from 0
    from_at         BIGINT,
    to_at           BIGINT,
    hourly_price    BIGINT,
    provider        TEXT   NOT NULL,
    region          TEXT   NOT NULL,
    gpu_type        TEXT   NOT NULL,
    name            TEXT   NOT NULL,           -- of the subject when it was charged
    reference       TEXT,                      -- of money that came in: SHA-256 in hex of its dedupe key
    created_at      BIGINT NOT NULL,
    hash            TEXT   NOT NULL,           -- of this line, its entries and the hash of the line before
    UNIQUE (account_id, seq)
);
CREATE INDEX wallet_transaction_type ON wallet_transaction (account_id, type, created_at, seq);
CREATE INDEX wallet_transaction_subject ON wallet_transaction (account_id, subject, created_at, seq);
CREATE INDEX wallet_transaction_created ON wallet_transaction (account_id, created_at, seq);

CREATE TABLE wallet_entry (
    transaction_id TEXT   NOT NULL,
    book           TEXT   NOT NULL,            -- wallet/<account>, hold/<account>, revenue, funding
    amount         BIGINT NOT NULL,
    PRIMARY KEY (transaction_id, book)
);

CREATE TABLE wallet_credit (
    dedupe     TEXT   PRIMARY KEY,
    account_id TEXT   NOT NULL,
    amount     BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Credits: money that is given to an account. Kept as long as the account's statement.
CREATE TABLE credit (
    id             TEXT   PRIMARY KEY,
    account_id     TEXT   NOT NULL,
    source         TEXT   NOT NULL,            -- operator, promo_code, sign_up
    amount         BIGINT NOT NULL,
    expired_amount BIGINT NOT NULL,            -- what was taken at the expiry and after it
    note           TEXT   NOT NULL,
    reference      TEXT   NOT NULL UNIQUE,     -- dedupe key of the transaction
    expires_at     BIGINT,                     -- NULL = never
    closed_at      BIGINT,                     -- when it expired
    created_at     BIGINT NOT NULL
);
CREATE INDEX credit_account ON credit (account_id, id);
CREATE INDEX credit_expiring ON credit (account_id, created_at) WHERE expires_at IS NOT NULL;

-- Who has paid what an account has spent: see package credit.
CREATE TABLE credit_position (
    account_id TEXT   PRIMARY KEY,
    spent      BIGINT NOT NULL,                -- charges less refunds, and holds, when the set of credits last changed
    shares     TEXT   NOT NULL,                -- JSON list of what was left of each credit
    spans      TEXT   NOT NULL                 -- JSON list of the parts that credits have paid
);

-- Promo codes of operators. One that was redeemed is kept.
CREATE TABLE promo_code (
    id                TEXT   PRIMARY KEY,
    code              TEXT   NOT NULL UNIQUE,  -- in upper case
    amount            BIGINT NOT NULL,
    max_redemptions   BIGINT,                  -- NULL = no limit
    redemptions       BIGINT NOT NULL,
    valid_from        BIGINT,
    valid_until       BIGINT,
    credit_days       BIGINT,                  -- NULL = the credit does not expire
    new_accounts_only BIGINT NOT NULL,
    enabled           BIGINT NOT NULL,
    created_at        BIGINT NOT NULL
);

-- Kept as long as the account's statement.
CREATE TABLE promo_redemption (
    promo_id   TEXT   NOT NULL REFERENCES promo_code (id),
    account_id TEXT   NOT NULL,
    credit_id  TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (promo_id, account_id)
);
-- The mailboxes of the owners of accounts that redeemed a code, each once: SHA-256 of the normal form of the address.
CREATE TABLE promo_mailbox (
    promo_id TEXT NOT NULL REFERENCES promo_code (id),
    mailbox  TEXT NOT NULL,
    PRIMARY KEY (promo_id, mailbox)
);
CREATE INDEX promo_redemption_credit ON promo_redemption (promo_id, credit_id);

-- Top-ups: money that an account pays in. Kept as long as the account's statement.
CREATE TABLE top_up (
    id              TEXT   PRIMARY KEY,
    account_id      TEXT   NOT NULL,
    processor       TEXT   NOT NULL,           -- stripe, transfer, demo
    status          TEXT   NOT NULL,           -- pending, succeeded, failed, expired, refunded, disputed
    automatic       BIGINT NOT NULL,
    amount          BIGINT NOT NULL,           -- what was asked for
    save_method     BIGINT NOT NULL,
    return_url      TEXT   NOT NULL,
    method_id       TEXT   NOT NULL,           -- of an automatic one
    attempt         BIGINT NOT NULL,           -- number of the page
    tries           BIGINT NOT NULL,           -- calls for a page or a charge that failed
    reference       TEXT,                      -- the processor's page, or its intent
    intent          TEXT,                      -- the processor's money, once it was credited
    checkout_url    TEXT,
    expires_at      BIGINT NOT NULL,
    received        BIGINT NOT NULL,           -- what was credited
    fee             BIGINT NOT NULL,
    failure_code    TEXT   NOT NULL,
    failure_message TEXT   NOT NULL,
    problem         TEXT   NOT NULL,           -- why money that was paid is not credited
    problem_intent  TEXT   NOT NULL,           -- the processor's money that has, or had, the problem
    closed          TEXT   NOT NULL,           -- problems that an operator has decided about, one a line
    creator_type    TEXT   NOT NULL,
    creator_id      TEXT   NOT NULL,
    creator_name    TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    completed_at    BIGINT
);
CREATE INDEX top_up_account ON top_up (account_id, id);
CREATE INDEX top_up_account_status ON top_up (account_id, status, id);
CREATE INDEX top_up_status ON top_up (status, id);
CREATE INDEX top_up_processor ON top_up (processor, completed_at);
CREATE INDEX top_up_by_processor ON top_up (processor, id);
CREATE INDEX top_up_with_problem ON top_up (id) WHERE problem <> '';
CREATE INDEX top_up_find ON top_up (reference) WHERE reference IS NOT NULL;
CREATE UNIQUE INDEX top_up_reference ON top_up (processor, reference) WHERE reference IS NOT NULL;
CREATE UNIQUE INDEX top_up_intent ON top_up (processor, intent) WHERE intent IS NOT NULL;
CREATE INDEX top_up_problem ON top_up (processor, problem_intent) WHERE problem_intent <> '';
-- One automatic top-up at a time.
CREATE UNIQUE INDEX top_up_automatic ON top_up (account_id) WHERE automatic = 1 AND status = 'pending';

CREATE TABLE top_up_refund (
    id           TEXT   PRIMARY KEY,
    top_up_id    TEXT   NOT NULL,
    account_id   TEXT   NOT NULL,
    reference    TEXT,                         -- the processor's; NULL until it answered
    amount       BIGINT NOT NULL,
    reason       TEXT   NOT NULL,
    status       TEXT   NOT NULL,              -- pending, succeeded, failed
    message      TEXT   NOT NULL,              -- why it failed
    created_at   BIGINT NOT NULL,
    completed_at BIGINT
);
CREATE INDEX top_up_refund_top_up ON top_up_refund (top_up_id, id);
CREATE UNIQUE INDEX top_up_refund_reference ON top_up_refund (top_up_id, reference) WHERE reference IS NOT NULL;

CREATE TABLE top_up_dispute (
    top_up_id  TEXT   NOT NULL,
    reference  TEXT   NOT NULL,
    amount     BIGINT NOT NULL,
    status     TEXT   NOT NULL,                -- open, won, lost
    reason     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (top_up_id, reference)
);

-- What operators add to and remove from wallets. Pending ones wait for another operator.
CREATE TABLE adjustment (
    id           TEXT   PRIMARY KEY,
    account_id   TEXT   NOT NULL,
    state        TEXT   NOT NULL,              -- booked, pending, approved, rejected, withdrawn, expired
    amount       BIGINT NOT NULL,              -- below 0 it is removed
    note         TEXT   NOT NULL,              -- which the account reads
    reference    TEXT   NOT NULL,              -- the operator's; '' = none
    reason       TEXT   NOT NULL,
    comment      TEXT   NOT NULL,              -- of who decided
    creator_type TEXT   NOT NULL,
    creator_id   TEXT   NOT NULL,
    creator_name TEXT   NOT NULL,
    creator_user TEXT   NOT NULL,              -- the user behind it; '' = unknown
    decider_type TEXT   NOT NULL,              -- '' = not decided
    decider_id   TEXT   NOT NULL,
    decider_name TEXT   NOT NULL,
    decider_user TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,                       -- NULL for one that needed no approval
    decided_at   BIGINT,
    credit_expires_at BIGINT                   -- NULL = the credit does not expire
);
CREATE INDEX adjustment_account ON adjustment (account_id, id);
CREATE INDEX adjustment_account_state ON adjustment (account_id, state, id);
CREATE INDEX adjustment_state ON adjustment (state, id);
CREATE INDEX adjustment_booked ON adjustment (account_id, created_at) WHERE state = 'booked';
CREATE UNIQUE INDEX adjustment_reference ON adjustment (reference)
    WHERE reference <> '' AND state IN ('booked', 'pending', 'approved');

-- Events of processors that were processed. Deleted after 90 days; processors repeat for less.
CREATE TABLE payment_event (
    processor TEXT   NOT NULL,
    id        TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (processor, id)
);
CREATE INDEX payment_event_at ON payment_event (at);

-- Until when events and movements of a processor were asked for: two rows for each processor.
CREATE TABLE payment_cursor (
    processor TEXT   NOT NULL,
    kind      TEXT   NOT NULL,                 -- events, movements
    until     BIGINT NOT NULL,
    PRIMARY KEY (processor, kind)
);

-- Accounts as processors know them, and their saved methods of payment.
CREATE TABLE payment_customer (
    account_id TEXT   NOT NULL,
    processor  TEXT   NOT NULL,
    reference  TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, processor)
);
CREATE UNIQUE INDEX payment_customer_reference ON payment_customer (processor, reference);

CREATE TABLE payment_method (
    id           TEXT   PRIMARY KEY,
    account_id   TEXT   NOT NULL,
    processor    TEXT   NOT NULL,
    customer     TEXT   NOT NULL,
    reference    TEXT   NOT NULL,
    type         TEXT   NOT NULL,
    brand        TEXT   NOT NULL,
    last4        TEXT   NOT NULL,
    expiry_month BIGINT NOT NULL,
    expiry_year  BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    removed_at   BIGINT,
    UNIQUE (processor, reference)
);
CREATE INDEX payment_method_account ON payment_method (account_id, id);

-- Automatic top-ups: at most a row for each account.
CREATE TABLE auto_top_up (
    account_id    TEXT   PRIMARY KEY,
    enabled       BIGINT NOT NULL,
    threshold     BIGINT NOT NULL,
    amount        BIGINT NOT NULL,
    monthly_limit BIGINT NOT NULL,
    failures      BIGINT NOT NULL,             -- in a row
    not_before    BIGINT NOT NULL,             -- the next attempt after a failure
    stopped       TEXT   NOT NULL,             -- why it was stopped; '' while it is not
    creator_type  TEXT   NOT NULL,             -- who set it last
    creator_id    TEXT   NOT NULL,
    creator_name  TEXT   NOT NULL,
    updated_at    BIGINT NOT NULL
);
CREATE INDEX auto_top_up_enabled ON auto_top_up (enabled, account_id);

-- The pages of simulated payments, and of bank transfers.
CREATE TABLE demo_payment (
    token        TEXT   PRIMARY KEY,
    reference    TEXT   NOT NULL UNIQUE,
    top_up_id    TEXT   NOT NULL,
    attempt      BIGINT NOT NULL,
    customer     TEXT   NOT NULL,
    amount       BIGINT NOT NULL,
    status       TEXT   NOT NULL,
    save_method  BIGINT NOT NULL,
    method       TEXT   NOT NULL,              -- the saved one; ''
    failure      TEXT   NOT NULL,
    cancel_url   TEXT   NOT NULL,
    return_url   TEXT   NOT NULL,
    expires_at   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    paid_at      BIGINT,
    UNIQUE (top_up_id, attempt)
);
CREATE INDEX demo_payment_paid ON demo_payment (paid_at);
CREATE INDEX demo_payment_customer ON demo_payment (customer, reference);
CREATE TABLE demo_refund (
    id         TEXT   PRIMARY KEY,
    reference  TEXT   NOT NULL,                -- of the payment
    amount     BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX demo_refund_reference ON demo_refund (reference);
CREATE TABLE demo_detached (
    method TEXT PRIMARY KEY
);
CREATE TABLE transfer_payment (
    token        TEXT   PRIMARY KEY,
    reference    TEXT   NOT NULL UNIQUE,       -- what the customer writes into the transfer
    top_up_id    TEXT   NOT NULL UNIQUE,
    amount       BIGINT NOT NULL,
    received     BIGINT NOT NULL,
    bank_id      TEXT,                         -- the bank's own reference
    expires_at   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    confirmed_at BIGINT
);
CREATE INDEX transfer_payment_confirmed ON transfer_payment (confirmed_at);
CREATE UNIQUE INDEX transfer_payment_bank_id ON transfer_payment (bank_id) WHERE bank_id IS NOT NULL;

CREATE TABLE wallet_hold (
    subject     TEXT   PRIMARY KEY,
    account_id  TEXT   NOT NULL,
    amount      BIGINT NOT NULL,
    description TEXT   NOT NULL,
    provider    TEXT   NOT NULL,
    region      TEXT   NOT NULL,
    gpu_type    TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    settled_at  BIGINT                         -- NULL while the money is held
);

CREATE INDEX wallet_hold_open ON wallet_hold (account_id) WHERE settled_at IS NULL;

CREATE TABLE wallet_charge (
    subject      TEXT   NOT NULL,
    hour         BIGINT NOT NULL,
    account_id   TEXT   NOT NULL,
    amount       BIGINT NOT NULL,
    hourly_price BIGINT NOT NULL,
    from_at      BIGINT NOT NULL,
    refunded     BIGINT NOT NULL CHECK (refunded >= 0 AND refunded <= amount),
    refunded_at  BIGINT,                       -- NULL until the one refund
    provider     TEXT   NOT NULL,
    region       TEXT   NOT NULL,
    gpu_type     TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    ended_at     BIGINT,                       -- when the subject stopped, if that is before the hour's end: then all of it is earned
    PRIMARY KEY (subject, hour)
);
CREATE INDEX wallet_charge_usage ON wallet_charge (account_id, from_at);
CREATE INDEX wallet_charge_from ON wallet_charge (from_at);
CREATE INDEX wallet_charge_refunded ON wallet_charge (account_id, refunded_at) WHERE refunded_at IS NOT NULL;

-- What the operator decides about invoices, as JSON: one row.
-- It is locked while these or the tax rates are changed, and while a document takes a number.
CREATE TABLE invoice_settings (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    settings   TEXT   NOT NULL,
    changed_at BIGINT NOT NULL
);
INSERT INTO invoice_settings (id, settings, changed_at) VALUES (1, '{}', 0);

CREATE TABLE invoice_tax_rate (
    country      TEXT   NOT NULL,
    from_day     TEXT   NOT NULL,              -- 2026-01-31, in UTC
    basis_points BIGINT NOT NULL CHECK (basis_points BETWEEN 0 AND 5000),
    ended        BIGINT NOT NULL,              -- 1: the country has no rate from that day on
    PRIMARY KEY (country, from_day)
);

-- What US dollars are worth in other currencies: at most 20,000 rows, which the operator enters and deletes.
CREATE TABLE invoice_exchange_rate (
    id         TEXT   PRIMARY KEY,             -- xr_eur20261127
    currency   TEXT   NOT NULL,
    from_day   TEXT   NOT NULL,                -- 2026-11-27
    rate       TEXT   NOT NULL,                -- decimal: the amount in the currency for so many dollars
    dollars    TEXT   NOT NULL,                -- decimal
    per_dollar TEXT   NOT NULL,                -- the quotient, rounded
    source     TEXT   NOT NULL,
    changed_at BIGINT NOT NULL,
    UNIQUE (currency, from_day)
);

-- An account as the buyer on its next document, as JSON.
CREATE TABLE billing_details (
    account_id TEXT   PRIMARY KEY,
    details    TEXT   NOT NULL,
    changed_at BIGINT NOT NULL,
    asked_at   BIGINT                          -- when the account was asked for what is missing, once
);

-- The months whose accounts have been found.
CREATE TABLE invoice_month (
    month   TEXT   PRIMARY KEY,                -- 2026-11
    done_at BIGINT NOT NULL
);

-- The last number of a series in a year. Its row is locked until the document with the next one is committed.
CREATE TABLE invoice_sequence (
    series TEXT   NOT NULL,
    year   BIGINT NOT NULL,
    last   BIGINT NOT NULL,
    PRIMARY KEY (series, year)
);

-- Documents are inserted and never changed.
CREATE TABLE invoice (
    id         TEXT   PRIMARY KEY,
    account_id TEXT   NOT NULL,
    series     TEXT   NOT NULL CHECK (series IN ('invoice', 'credit_note')),
    number     TEXT   NOT NULL UNIQUE,
    year       BIGINT NOT NULL,                -- of issue
    sequence   BIGINT NOT NULL,                -- 1, 2, 3, … in a series and year, without gaps
    month      TEXT   NOT NULL,                -- that is billed
    issued_at  BIGINT NOT NULL,
    currency   TEXT   NOT NULL,
    total      BIGINT NOT NULL,
    tax        BIGINT NOT NULL,
    due        BIGINT NOT NULL,
    corrects   TEXT,                           -- the invoice that a credit note corrects
    content    TEXT   NOT NULL,                -- the whole document: JSON, with gzip, in base64
    UNIQUE (series, year, sequence)
);
CREATE UNIQUE INDEX invoice_account_month ON invoice (account_id, month) WHERE series = 'invoice';
CREATE INDEX invoice_account ON invoice (account_id, id);
CREATE INDEX invoice_by_month ON invoice (account_id, month, id);
CREATE INDEX invoice_all_month ON invoice (month, id);
CREATE INDEX invoice_corrects ON invoice (corrects) WHERE corrects IS NOT NULL;

CREATE TABLE invoice_rendering (
    invoice_id TEXT   NOT NULL,
    format     TEXT   NOT NULL,                -- html, pdf, xml
    content    TEXT   NOT NULL,                -- with gzip, in base64
    PRIMARY KEY (invoice_id, format)
);

-- Receipts of payments and refunds. One is made when it is first read, and never changes.
CREATE TABLE receipt (
    subject    TEXT   NOT NULL,                -- the top-up, or the refund of a part of it
    format     TEXT   NOT NULL,                -- json, html, pdf
    account_id TEXT   NOT NULL,
    content    TEXT   NOT NULL,                -- with gzip, in base64
    PRIMARY KEY (subject, format)
);

-- The keys that sign heads: one, unless the secret key was replaced.
CREATE TABLE signed_head_key (
    id          TEXT   PRIMARY KEY,            -- of the public key: the first 16 digits of its SHA-256
    public_key  TEXT   NOT NULL,               -- Ed25519, base64
    private_key TEXT   NOT NULL,               -- sealed
    created_at  BIGINT NOT NULL
);

-- What was signed of a day: a row for each day on which a server ran.
CREATE TABLE signed_head_day (
    day          TEXT   PRIMARY KEY,           -- in UTC, 2028-02-29
    previous     TEXT   NOT NULL,              -- SHA-256 of the statement before it
    root         TEXT   NOT NULL,              -- of the Merkle tree of the day's heads
    accounts     BIGINT NOT NULL,
    transactions BIGINT NOT NULL,              -- of all accounts so far
    key_id       TEXT   NOT NULL,
    signature    TEXT   NOT NULL
);

-- The newest transaction of each account whose money moved since the day before.
CREATE TABLE signed_head (
    account_id TEXT   NOT NULL,
    seq        BIGINT NOT NULL,
    day        TEXT   NOT NULL,
    hash       TEXT   NOT NULL,
    PRIMARY KEY (account_id, seq)
);
CREATE INDEX signed_head_of_day ON signed_head (day);

CREATE TABLE meter (
    subject      TEXT   PRIMARY KEY,
    account_id   TEXT   NOT NULL,
    description  TEXT   NOT NULL,              -- what an hour is of: "8 × NVIDIA B200"
    name         TEXT   NOT NULL,
    provider     TEXT   NOT NULL,
    region       TEXT   NOT NULL,
    gpu_type     TEXT   NOT NULL,
    hourly_price BIGINT NOT NULL,              -- of hours not yet booked
    started_at   BIGINT NOT NULL,              -- whole seconds
    hours        BIGINT NOT NULL,              -- booked so far: 0 to hours - 1
    next_at      BIGINT,                       -- when the next hour begins: started_at + hours · 3600 s; NULL once stopped
    cost         BIGINT NOT NULL,              -- charges less refunds
    stopped_at   BIGINT,                       -- NULL while it runs
    ends_at      BIGINT,                       -- no hour that begins then or later is booked; NULL where no end is planned
    refused_at   BIGINT,                       -- when the hour begins that was refused; NULL while none was
    refused_for  TEXT   NOT NULL DEFAULT '',   -- the reason as text
    minimum_hours BIGINT NOT NULL DEFAULT 0    -- the hours of the minimum runtime, none of which is refused
);
CREATE INDEX meter_due ON meter (next_at, subject) WHERE next_at IS NOT NULL;
CREATE INDEX meter_running ON meter (account_id, subject) WHERE next_at IS NOT NULL;

CREATE TABLE job (
    id          TEXT   PRIMARY KEY,
    kind        TEXT   NOT NULL,
    subject     TEXT   NOT NULL,
    run_at      BIGINT NOT NULL,               -- microseconds on the server's clock: not before
    generation  BIGINT NOT NULL,               -- raised by every Enqueue, so that a run which began before it does not count for it
    attempt     BIGINT NOT NULL,               -- raised by every claim; completing needs the same
    failures    BIGINT NOT NULL,               -- in a row
    lease_until BIGINT NOT NULL,               -- microseconds of real time; 0 while it is not leased
    last_error  TEXT   NOT NULL,
    owner       TEXT   NOT NULL DEFAULT '',
    trace       TEXT   NOT NULL DEFAULT '',    -- the trace of OpenTelemetry that it belongs to
    UNIQUE (kind, subject)
);
CREATE INDEX job_due ON job (run_at);
CREATE INDEX job_failing ON job (failures, id) WHERE failures > 0;
CREATE INDEX job_failing_subject ON job (subject, failures, id) WHERE failures > 0;

CREATE TABLE event (
    id         TEXT   PRIMARY KEY,
    account_id TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    type       TEXT   NOT NULL,
    data       TEXT   NOT NULL,                -- JSON object
    created_at BIGINT NOT NULL,
    seq        BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX event_account ON event (account_id, seq);
CREATE INDEX event_subject ON event (account_id, subject, seq);
CREATE INDEX event_type ON event (account_id, type, seq);

CREATE TABLE idempotency (
    account_id   TEXT   NOT NULL,
    key          TEXT   NOT NULL,              -- the client's Idempotency-Key, 1 to 255 visible characters
    request_hash TEXT   NOT NULL,              -- of method, path and canonical body
    status       BIGINT NOT NULL,              -- HTTP status of the answer; 0 inside the transaction that is issue it
    header       TEXT   NOT NULL,              -- JSON object of strings
    body         TEXT   NOT NULL,              -- base64 of the bytes that were sent
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_created ON idempotency (created_at);

CREATE TABLE catalog_version (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL                    -- raised in every transaction that changes an offer or a volume price
);
INSERT INTO catalog_version (id, version) VALUES (1, 1);

CREATE TABLE catalog_provider (
    provider        TEXT   PRIMARY KEY,
    asked_at        BIGINT NOT NULL,           -- when the answer that was written last was asked for
    last_success_at BIGINT,
    last_failure_at BIGINT,
    last_error      TEXT   NOT NULL,           -- for the operator, of last_failure_at
    failing_since   BIGINT,
    failures        BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE catalog_offer (
    id                TEXT   PRIMARY KEY,
    provider          TEXT   NOT NULL,
    region            TEXT   NOT NULL,
    offer_key         TEXT   NOT NULL,
    gpu_type          TEXT   NOT NULL,
    gpu_count         BIGINT NOT NULL,
    gpu_memory_gb     BIGINT NOT NULL,
    vcpus             BIGINT NOT NULL,
    memory_gb         BIGINT NOT NULL,
    storage_gb        BIGINT NOT NULL,
    interconnect      TEXT   NOT NULL,
    instance_type     TEXT   NOT NULL,
    operating_systems TEXT   NOT NULL,         -- JSON array of text
    capabilities      TEXT   NOT NULL,         -- JSON object
    cost_price        BIGINT NOT NULL,         -- what the provider asks
    hourly_price      BIGINT NOT NULL,         -- what a tenant pays
    available         BIGINT NOT NULL CHECK (available IN (0, 1)),
    stock             BIGINT,
    withdrawn         BIGINT NOT NULL CHECK (withdrawn IN (0, 1)), -- 1 while the provider does not list it
    region_name       TEXT   NOT NULL DEFAULT '',
    country           TEXT   NOT NULL DEFAULT '',
    minimum_runtime   BIGINT NOT NULL DEFAULT 0,
    launch_limit      BIGINT NOT NULL DEFAULT 0, -- seconds a launch may take, where less than at its provider otherwise; 0 where it is not
    trusted_only      BIGINT NOT NULL DEFAULT 0 CHECK (trusted_only IN (0, 1)), -- 1 = for accounts that are trusted
    UNIQUE (provider, region, offer_key)
);

CREATE TABLE catalog_price_point (
    offer_id     TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    hourly_price BIGINT NOT NULL,
    available    BIGINT NOT NULL CHECK (available IN (0, 1)),
    stock        BIGINT,
    cost_price   BIGINT NOT NULL DEFAULT 0,    -- what the provider asked
    PRIMARY KEY (offer_id, at)
);
CREATE INDEX catalog_price_point_at ON catalog_price_point (at);

CREATE TABLE catalog_volume_price (
    provider    TEXT   NOT NULL,
    region      TEXT   NOT NULL,
    cost_price  BIGINT NOT NULL,               -- of a GB for an hour, what the provider asks
    per_gb_hour BIGINT NOT NULL,               -- what a tenant pays
    min_size_gb BIGINT NOT NULL,
    max_size_gb BIGINT NOT NULL,
    PRIMARY KEY (provider, region)
);

CREATE TABLE ssh_key (
    id          TEXT   PRIMARY KEY,
    account_id  TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    public_key  TEXT   NOT NULL,               -- one canonical line: type, base64, comment
    fingerprint TEXT   NOT NULL,               -- SHA256:…, of the key alone
    type        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    name_key    TEXT   NOT NULL DEFAULT '',
    creator_type TEXT  NOT NULL DEFAULT '',
    creator_id   TEXT  NOT NULL DEFAULT '',
    creator_name TEXT  NOT NULL DEFAULT '',    -- as it was then
    UNIQUE (account_id, fingerprint),
    UNIQUE (account_id, name)
);
CREATE INDEX ssh_key_account ON ssh_key (account_id, id);
CREATE INDEX ssh_key_by_name ON ssh_key (account_id, name_key, id);

-- The disk images that tenants bring themselves.
CREATE TABLE os_image (
    id           TEXT   PRIMARY KEY,
    account_id   TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    url          TEXT   NOT NULL,
    sha256       TEXT   NOT NULL,
    format       TEXT   NOT NULL,              -- raw, qcow2
    size_bytes   BIGINT NOT NULL,              -- of the file
    created_at   BIGINT NOT NULL,
    name_key     TEXT   NOT NULL,
    creator_type TEXT   NOT NULL,
    creator_id   TEXT   NOT NULL,
    creator_name TEXT   NOT NULL,              -- as it was then
    UNIQUE (account_id, name)
);
CREATE INDEX os_image_account ON os_image (account_id, id);
CREATE INDEX os_image_by_name ON os_image (account_id, name_key, id);

CREATE TABLE volume (
    id               TEXT   PRIMARY KEY,
    account_id       TEXT   NOT NULL,
    name             TEXT   NOT NULL,
    size_gb          BIGINT NOT NULL,          -- what there is and is paid for
    wanted_size_gb   BIGINT NOT NULL,          -- more than size_gb while it grows
    provider         TEXT   NOT NULL,
    region           TEXT   NOT NULL,
    hourly_price_per_gb BIGINT NOT NULL,      -- what the tenant pays, fixed at creation
    status           TEXT   NOT NULL,
    reason           TEXT   NOT NULL,          -- why, for the tenant to read, where something went wrong
    deployment_id    TEXT   NOT NULL,          -- while it is attached or on its way there or back; else ''
    mount_path       TEXT   NOT NULL,
    created_at       BIGINT NOT NULL,
    status_since     BIGINT NOT NULL,
    available_at     BIGINT,                   -- when it first was, and the meter started
    deleted_at       BIGINT,
    clean_until      BIGINT,                   -- until then it is deleted upstream again and again, in case a late create lands
    changes          BIGINT NOT NULL,          -- raised by each transaction that locks the row to change it
    hourly_cost_per_gb BIGINT NOT NULL DEFAULT 0, -- what the provider asks
    create_asked_at  BIGINT,
    name_key         TEXT   NOT NULL DEFAULT '',
    project          TEXT   NOT NULL DEFAULT '',
    creator_type     TEXT   NOT NULL DEFAULT '',
    creator_id       TEXT   NOT NULL DEFAULT '',
    creator_name     TEXT   NOT NULL DEFAULT '' -- as it was then
);
CREATE UNIQUE INDEX volume_name ON volume (account_id, name) WHERE status NOT IN ('failed', 'deleted');
CREATE INDEX volume_deployment ON volume (deployment_id) WHERE deployment_id <> '';
CREATE INDEX volume_live ON volume (provider) WHERE status NOT IN ('failed', 'deleted');
CREATE INDEX volume_existing ON volume (provider) WHERE status NOT IN ('failed', 'deleted') OR clean_until IS NOT NULL;
CREATE INDEX volume_account ON volume (account_id, id) WHERE status <> 'deleted';
CREATE INDEX volume_by_project ON volume (account_id, project, id) WHERE status <> 'deleted';
CREATE INDEX volume_by_creator ON volume (account_id, creator_id, id) WHERE status <> 'deleted';
CREATE INDEX volume_by_name ON volume (account_id, name_key, id) WHERE status <> 'deleted';
CREATE INDEX volume_all ON volume (id) WHERE status <> 'deleted';
CREATE INDEX volume_all_account ON volume (account_id, id);
CREATE INDEX volume_all_status ON volume (status, id);
CREATE INDEX volume_all_provider ON volume (provider, id);

CREATE TABLE deployment (
    id                     TEXT   PRIMARY KEY,
    account_id             TEXT   NOT NULL,
    name                   TEXT   NOT NULL,
    status                 TEXT   NOT NULL,
    cause                  TEXT   NOT NULL,    -- of the last change of status
    reason                 TEXT   NOT NULL,    -- the same as text
    provider               TEXT   NOT NULL,
    region                 TEXT   NOT NULL,
    offer_id               TEXT   NOT NULL,
    offer_key              TEXT   NOT NULL,    -- the provider's name of the offer
    gpu_type               TEXT   NOT NULL,
    gpu_count              BIGINT NOT NULL,
    instance_type          TEXT   NOT NULL,
    operating_system       TEXT   NOT NULL,    -- of the offer, or the name of the tenant's own image
    image                  TEXT   NOT NULL DEFAULT 'null', -- JSON: the tenant's own image as it was then, or null
    hourly_price           BIGINT NOT NULL,    -- agreed at deploy time
    cost_price             BIGINT NOT NULL,    -- what the provider asked at that time
    capabilities           TEXT   NOT NULL,    -- JSON
    authorized_keys        TEXT   NOT NULL,    -- JSON: id, name, fingerprint, line
    cloud_init             TEXT   NOT NULL,
    steps                  TEXT   NOT NULL,    -- JSON
    action                 TEXT   NOT NULL,    -- what the provider is still to be asked for: reboot, …; '' for nothing
    action_argument        TEXT   NOT NULL,
    action_image           TEXT   NOT NULL DEFAULT 'null', -- JSON: the tenant's own image to reinstall with, or null
    machine_id             TEXT   NOT NULL,    -- the provider's name of the machine; '' until Launch was answered
    address                TEXT   NOT NULL,
    ssh_user               TEXT   NOT NULL,
    ssh_port               BIGINT NOT NULL,
    ssh_host_keys          TEXT   NOT NULL,    -- JSON
    minimum_runtime        BIGINT NOT NULL,    -- seconds
    auto_terminate_at      BIGINT,
    termination_protection BIGINT NOT NULL,    -- 0 or 1
    created_at             BIGINT NOT NULL,    -- this and the next three: whole seconds
    launch_by              BIGINT NOT NULL,    -- given up when not running by then
    started_at             BIGINT,             -- the meter's first instant
    billed_until           BIGINT,             -- the instant until which the tenant pays
    released_at            BIGINT,             -- the provider confirmed that no machine is left
    ending_since           BIGINT,             -- since when the machine is to be ended, so that an end that takes too long is noticed
    launch_asked_at        BIGINT,             -- when the provider was last asked to launch without an answer: until its settle time has passed, a machine may still come of it
    plans                  TEXT   NOT NULL DEFAULT '[]',
    attempts               TEXT   NOT NULL DEFAULT '[]',
    spending_key_id        TEXT   NOT NULL DEFAULT '', -- the API key whose spending limits it counts for
    launch_open_at         BIGINT,
    name_key               TEXT   NOT NULL DEFAULT '',
    nodes                  TEXT   NOT NULL DEFAULT '[]', -- JSON: the servers of a machine that has several
    machine_cost           BIGINT NOT NULL DEFAULT 0, -- what the provider states that the machine costs an hour; 0 where it does not
    ssh_host_key_source    TEXT   NOT NULL DEFAULT '', -- how the host keys are known: provider, issued, first_connection, ''
    host_key_public        TEXT   NOT NULL DEFAULT '',
    host_key_sealed        TEXT   NOT NULL DEFAULT '', -- the private part of the key that the machine was given, sealed, until it has shown it
    host_key_by            BIGINT,             -- until when a new host key is to be learned, after a reinstall
    project                TEXT   NOT NULL DEFAULT '',
    creator_type           TEXT   NOT NULL DEFAULT '', -- member, api_key, operator
    creator_id             TEXT   NOT NULL DEFAULT '',
    creator_name           TEXT   NOT NULL DEFAULT '', -- as it was then
    max_spend              BIGINT,             -- no hour begins that would pass it; NULL for no limit
    max_runtime            BIGINT,             -- minutes from started_at; NULL for no limit
    off_requested          BIGINT NOT NULL DEFAULT 0, -- 0 or 1: the tenant had the machine switched off
    rescue                 BIGINT NOT NULL DEFAULT 0, -- 0 or 1: the machine runs its rescue system
    gpu_memory             BIGINT NOT NULL DEFAULT 0, -- GB of one GPU, as the offer stated it; 0 if it did not
    interconnect           TEXT   NOT NULL DEFAULT '',
    health_policy          TEXT   NOT NULL DEFAULT '', -- off, report, require
    health_access          TEXT   NOT NULL DEFAULT '', -- launch, keep
    health_key_public      TEXT   NOT NULL DEFAULT '', -- the key that this machine was launched with for checks
    health_key_sealed      TEXT   NOT NULL DEFAULT '', -- its private part, sealed; '' once nothing logs in any more
    health_verdict         TEXT   NOT NULL DEFAULT '', -- of the newest check of this machine; '' before the first
    health_reason          TEXT   NOT NULL DEFAULT '',
    health_checked_at      BIGINT,
    health_doubted_at      BIGINT, -- when a check failed that a second one has to confirm
    UNIQUE (account_id, id)
);
CREATE INDEX deployment_account ON deployment (account_id, status, id);
CREATE INDEX deployment_provider ON deployment (provider, status);
CREATE INDEX deployment_unreleased ON deployment (provider) WHERE released_at IS NULL;
CREATE INDEX deployment_by_name ON deployment (account_id, name_key, id);
CREATE INDEX deployment_by_provider ON deployment (account_id, provider, id);
CREATE INDEX deployment_by_region ON deployment (account_id, region, id);
CREATE INDEX deployment_by_project ON deployment (account_id, project, id);
CREATE INDEX deployment_by_creator ON deployment (account_id, creator_id, id);
CREATE INDEX deployment_by_gpu_type ON deployment (account_id, gpu_type, id);
CREATE INDEX deployment_by_price ON deployment (account_id, hourly_price, id);
CREATE INDEX deployment_all_status ON deployment (status, id);
CREATE INDEX deployment_all_provider ON deployment (provider, id);
CREATE INDEX deployment_all_gpu_type ON deployment (gpu_type, id);
CREATE INDEX deployment_all_address ON deployment (address, id) WHERE address <> '';

CREATE TABLE deployment_tag (
    deployment_id TEXT   NOT NULL,
    position      BIGINT NOT NULL,
    tag           TEXT   NOT NULL,
    account_id    TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (deployment_id, tag)
);
CREATE INDEX deployment_tag_account ON deployment_tag (account_id, tag, deployment_id);

-- When a provider's machines were last compared with the deployments: a row for each provider.
CREATE TABLE machine_list (
    provider  TEXT   PRIMARY KEY,
    listed_at BIGINT NOT NULL
);

-- Times for which a machine did not work, as measured. At most 200 for each deployment.
CREATE TABLE deployment_downtime (
    deployment_id TEXT   NOT NULL,
    from_at       BIGINT NOT NULL,             -- when the machine was last seen to work
    seen_at       BIGINT NOT NULL,             -- when it was first seen not to work
    to_at         BIGINT,                      -- when it worked again, or its bill ended; NULL before
    cause         TEXT   NOT NULL,             -- lost, unhealthy, off
    provider      TEXT   NOT NULL,
    settled       BIGINT NOT NULL,             -- 0 or 1: it was decided whether there is a service credit for it
    PRIMARY KEY (deployment_id, from_at)
);
CREATE UNIQUE INDEX deployment_downtime_open ON deployment_downtime (deployment_id) WHERE to_at IS NULL;
CREATE INDEX deployment_downtime_provider ON deployment_downtime (provider) WHERE to_at IS NULL;

-- Checks of GPUs. The newest 20 of each deployment.
CREATE TABLE gpu_check (
    id            TEXT   PRIMARY KEY,
    deployment_id TEXT   NOT NULL,
    offer_id      TEXT   NOT NULL,             -- whose machine was checked
    level         BIGINT NOT NULL,
    cause         TEXT   NOT NULL,             -- launch, request, schedule
    verdict       TEXT   NOT NULL,             -- '' while it is in progress
    reason        TEXT   NOT NULL,
    nodes         TEXT   NOT NULL,             -- JSON
    created_at    BIGINT NOT NULL,
    finished_at   BIGINT                       -- NULL while it is in progress
);
CREATE INDEX gpu_check_deployment ON gpu_check (deployment_id, id);
CREATE UNIQUE INDEX gpu_check_pending ON gpu_check (deployment_id) WHERE finished_at IS NULL;

-- What the operator owes for machines that did not work. Kept as long as the account's statement.
CREATE TABLE service_credit (
    id             TEXT   PRIMARY KEY,
    account_id     TEXT   NOT NULL,
    deployment_id  TEXT   NOT NULL,
    name           TEXT   NOT NULL,            -- of the deployment at that time
    state          TEXT   NOT NULL,            -- proposed, approved, rejected
    cause          TEXT   NOT NULL,            -- machine_lost, machine_unhealthy, machine_off, gpus_failed
    from_at        BIGINT NOT NULL,
    to_at          BIGINT NOT NULL,
    seen_at        BIGINT,                     -- when a measured one was first seen; NULL for one by hand
    failed         BIGINT NOT NULL,            -- GPUs that did not work
    gpus           BIGINT NOT NULL,
    hourly_price   BIGINT NOT NULL,
    factor         BIGINT NOT NULL,            -- percent
    amount         BIGINT NOT NULL,            -- proposed, or booked
    note           TEXT   NOT NULL,            -- the operator's; the tenant reads it
    automatic      BIGINT NOT NULL,            -- booked without a review
    reason         TEXT   NOT NULL,            -- of a rejection
    decided_by     TEXT   NOT NULL,            -- user; '' for none that is known
    decider_name   TEXT   NOT NULL,            -- at that time; '' before, and without a review
    entered_by     TEXT   NOT NULL,            -- user; '' for a measured one, and if the user is not known
    enterer_name   TEXT   NOT NULL,            -- at that time; '' for a measured one
    created_at     BIGINT NOT NULL,
    decided_at     BIGINT
);
-- A measured downtime has one.
CREATE UNIQUE INDEX service_credit_measured ON service_credit (deployment_id, from_at) WHERE seen_at IS NOT NULL;
CREATE INDEX service_credit_account ON service_credit (account_id, state, id);
CREATE INDEX service_credit_deployment ON service_credit (deployment_id, state, id);
CREATE INDEX service_credit_state ON service_credit (state, id);

-- The charged hours that a service credit is about: at most 745 for each.
CREATE TABLE service_credit_hour (
    service_credit_id TEXT   NOT NULL,
    hour              BIGINT NOT NULL,
    from_at           BIGINT NOT NULL,
    charged           BIGINT NOT NULL,
    refunded          BIGINT NOT NULL,
    hourly_price      BIGINT NOT NULL,
    seconds           BIGINT NOT NULL,         -- of the hour that the credit's time covers
    credited_before   BIGINT NOT NULL,
    amount            BIGINT NOT NULL,
    PRIMARY KEY (service_credit_id, hour)
);

CREATE TABLE past_due (
    account_id TEXT   PRIMARY KEY,
    since      BIGINT NOT NULL,                -- the stretch below zero that the rest is about
    warned_at  BIGINT NOT NULL,
    ended_at   BIGINT,                         -- the deployments were ended
    deleted_at BIGINT                          -- the volumes were deleted
);

-- The thresholds of runway at which an account was warned, until its runway is longer again.
CREATE TABLE low_balance (
    account_id TEXT   NOT NULL,
    threshold  BIGINT NOT NULL,                -- hours
    warned_at  BIGINT NOT NULL,
    PRIMARY KEY (account_id, threshold)
);

CREATE TABLE issue (
    id            TEXT   PRIMARY KEY,
    kind          TEXT   NOT NULL,
    provider      TEXT   NOT NULL,
    subject       TEXT   NOT NULL,             -- what it is unique by: the reference, or the provider's own name
    upstream_id   TEXT   NOT NULL,             -- the provider's own name, or ''
    reference     TEXT   NOT NULL,             -- as the provider tells it, or ''
    deployment_id TEXT   NOT NULL,             -- where there is one, or ''
    volume_id     TEXT   NOT NULL,
    detail        TEXT   NOT NULL,
    endable       BIGINT NOT NULL CHECK (endable IN (0, 1)), -- Billet can end it without touching anything that is owned
    state         TEXT   NOT NULL,             -- open, ended, dismissed, settled
    note          TEXT   NOT NULL,             -- the operator's
    problem       TEXT   NOT NULL,             -- what the provider said last to ending it
    first_seen_at BIGINT NOT NULL,
    last_seen_at  BIGINT NOT NULL,
    end_after     BIGINT,                      -- when policy ends it; NULL where it does not
    held          BIGINT NOT NULL CHECK (held IN (0, 1)), -- too many were open at once: no policy ends it any more
    ending_since  BIGINT,                      -- the provider is being asked to end it
    confirmed_at  BIGINT,                      -- the provider says that it is gone; its list is to agree
    closed_at     BIGINT                       -- NULL while it is there
);
CREATE UNIQUE INDEX issue_live ON issue (provider, kind, subject) WHERE closed_at IS NULL;
CREATE INDEX issue_state ON issue (state, provider, kind);
CREATE INDEX issue_by_state ON issue (state, id);
CREATE INDEX issue_by_kind ON issue (kind, id);
CREATE INDEX issue_by_provider ON issue (provider, id);
CREATE INDEX issue_closed ON issue (closed_at) WHERE closed_at IS NOT NULL AND state <> 'ended';

CREATE TABLE membership (
    account_id TEXT   NOT NULL REFERENCES account (id),
    user_id    TEXT   NOT NULL REFERENCES users (id),
    role       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT,                         -- last seen in this account; NULL = never
    mail_off   TEXT   NOT NULL DEFAULT '',     -- kinds of mails that the member switched off, apart by spaces
    PRIMARY KEY (account_id, user_id)
);
CREATE INDEX membership_by_user ON membership (user_id, created_at, account_id);
CREATE INDEX membership_account ON membership (account_id, created_at, user_id);

CREATE TABLE invitation (
    id          TEXT   PRIMARY KEY,
    account_id  TEXT   NOT NULL REFERENCES account (id),
    role        TEXT   NOT NULL,
    email       TEXT   NOT NULL,               -- normalized; '' = anyone who has the link
    token_hash  TEXT   NOT NULL UNIQUE,        -- SHA-256 of the token, in hex
    created_by  TEXT   REFERENCES users (id),  -- NULL = the operator
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    accepted_at BIGINT,
    accepted_by TEXT   REFERENCES users (id),
    revoked_at  BIGINT
);
CREATE INDEX invitation_account ON invitation (account_id, id);

CREATE TABLE audit (
    id         TEXT   PRIMARY KEY,
    account_id TEXT   NOT NULL,                -- '' = no account's: a sign-in with an unknown address
    actor_kind TEXT   NOT NULL,                -- users, key, operator, system
    actor_id   TEXT   NOT NULL,
    actor_name TEXT   NOT NULL,                -- as it was then
    action     TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    subject_name TEXT NOT NULL DEFAULT '',     -- of what the action deleted; of others it is found when the log is read
    address    TEXT   NOT NULL,
    request_id TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    detail     TEXT   NOT NULL DEFAULT ''      -- why, where an operator says so
);
CREATE INDEX audit_account ON audit (account_id, created_at, id);
CREATE INDEX audit_actor ON audit (account_id, actor_id, created_at, id);
CREATE INDEX audit_action ON audit (account_id, action, created_at, id);
CREATE INDEX audit_subject ON audit (account_id, subject, created_at, id);

CREATE TABLE totp (
    user_id      TEXT   PRIMARY KEY REFERENCES users (id),
    secret       TEXT   NOT NULL,              -- sealed
    last_step    BIGINT NOT NULL,              -- of the last code that was used: none up to here works again
    confirmed_at BIGINT,                       -- NULL = shown, and not yet proved to be in an app
    created_at   BIGINT NOT NULL
);

CREATE TABLE recovery_code (
    user_id   TEXT   NOT NULL REFERENCES users (id),
    code_hash TEXT   NOT NULL,                 -- SHA-256 in hex; the row goes when the code is used
    PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE passkey (
    id            TEXT   PRIMARY KEY,
    user_id       TEXT   NOT NULL REFERENCES users (id),
    credential_id TEXT   NOT NULL UNIQUE,      -- base64url
    name          TEXT   NOT NULL,
    credential    TEXT   NOT NULL,             -- public key, counter and flags as JSON
    created_at    BIGINT NOT NULL,
    used_at       BIGINT
);
CREATE INDEX passkey_by_user ON passkey (user_id, id);

CREATE TABLE challenge (
    id         TEXT   PRIMARY KEY,
    kind       TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,                -- '' = anyone who answers it
    data       TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX challenge_expires ON challenge (expires_at);

-- The user whom an identity provider names by this subject, whatever email address it sends later.
CREATE TABLE identity (
    issuer     TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    user_id    TEXT   NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identity_by_user ON identity (user_id);

CREATE TABLE event_counter (
    account_id TEXT   PRIMARY KEY,
    last       BIGINT NOT NULL,                -- seq of the account's newest event
    gone       BIGINT NOT NULL DEFAULT 0,      -- seq of the newest one that was deleted; 0 = none was
    gone_event TEXT   NOT NULL DEFAULT ''      -- its id
);

-- The files of old rows, each of which was written before its rows were deleted: one for some 2,000 rows. Kept, because it proves the files.
CREATE TABLE archive_file (
    kind       TEXT   NOT NULL,                -- events, audit
    first_id   TEXT   NOT NULL,                -- of the file's rows, both included
    last_id    TEXT   NOT NULL,
    lines      BIGINT NOT NULL,
    sha256     TEXT   NOT NULL,                -- of the file, in hex; '' while its rows are not deleted
    created_at BIGINT NOT NULL,
    PRIMARY KEY (kind, first_id)
);
CREATE UNIQUE INDEX archive_file_open ON archive_file (kind) WHERE sha256 = '';

CREATE TABLE meter_cost (
    subject     TEXT   NOT NULL,
    from_at     BIGINT NOT NULL,               -- whole seconds
    to_at       BIGINT,                        -- NULL while it costs
    account_id  TEXT   NOT NULL,
    provider    TEXT   NOT NULL,
    gpu_type    TEXT   NOT NULL,
    hourly_cost BIGINT NOT NULL CHECK (hourly_cost >= 0),
    PRIMARY KEY (subject, from_at)
);
CREATE INDEX meter_cost_from ON meter_cost (from_at);
CREATE INDEX meter_cost_to ON meter_cost (to_at) WHERE to_at IS NOT NULL;
CREATE INDEX meter_cost_running ON meter_cost (from_at) WHERE to_at IS NULL;

CREATE TABLE catalog_attempt (
    deployment_id TEXT   NOT NULL,
    offer_id      TEXT   NOT NULL,
    provider      TEXT   NOT NULL,
    instance_type TEXT   NOT NULL,
    at            BIGINT NOT NULL,             -- when it was known
    outcome       TEXT   NOT NULL,             -- ssh, no_capacity or failed
    seconds       BIGINT NOT NULL,             -- from the accepted deploy, or the end of the candidate before, until then
    PRIMARY KEY (deployment_id, offer_id)      -- so that each counts once
);
CREATE INDEX catalog_attempt_at ON catalog_attempt (at);

CREATE TABLE provider_account (
    slug           TEXT   NOT NULL PRIMARY KEY,
    kind           TEXT   NOT NULL,            -- which adapter
    name           TEXT   NOT NULL,
    base_url       TEXT   NOT NULL,            -- '' for the cloud's own
    settings       TEXT   NOT NULL,            -- JSON, name to value
    credential     TEXT   NOT NULL,            -- sealed
    markup         BIGINT,                     -- basis points; NULL for the server's
    created_at     BIGINT NOT NULL,
    key_changed_at BIGINT NOT NULL,
    paused_at      BIGINT,                     -- since when nothing is launched there; NULL if it is not paused
    draining_at    BIGINT                      -- the same for a drain; not both
);

CREATE TABLE provider_account_version (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL                    -- raised in every transaction that changes a provider account
);
INSERT INTO provider_account_version (id, version) VALUES (1, 1);

-- The operator's price rules, in the order of positions. '' is for all.
CREATE TABLE price_rule (
    id            TEXT   NOT NULL PRIMARY KEY,
    position      BIGINT NOT NULL,             -- 1, 2, 3, … without gaps
    provider      TEXT   NOT NULL,
    gpu_type      TEXT   NOT NULL,
    region        TEXT   NOT NULL,
    account_id    TEXT   NOT NULL,
    percent       BIGINT NOT NULL,             -- basis points
    fixed_per_gpu BIGINT NOT NULL,
    floor_per_gpu BIGINT NOT NULL,
    round_up_to   BIGINT NOT NULL,             -- 0 = not rounded
    hidden        BIGINT NOT NULL CHECK (hidden IN (0, 1)),
    created_at    BIGINT NOT NULL,
    changed_at    BIGINT NOT NULL
);

CREATE TABLE price_rule_version (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL                    -- raised in every transaction that changes a price rule
);
INSERT INTO price_rule_version (id, version) VALUES (1, 1);

-- The operator's own servers. The row says which deployment has one: a deployment has at most one server.
CREATE TABLE rack_machine (
    id              TEXT   NOT NULL PRIMARY KEY,
    name            TEXT   NOT NULL,
    name_key        TEXT   NOT NULL UNIQUE,    -- in lower case
    state           TEXT   NOT NULL,
    cause           TEXT   NOT NULL,
    reason          TEXT   NOT NULL,
    state_at        BIGINT NOT NULL,
    unerased        BIGINT NOT NULL,           -- 1 from when it is entered, or a tenant gets it, until its drives are proven erased
    deployment_id   TEXT   UNIQUE,
    bmc_url         TEXT   NOT NULL,           -- '' for a server without a BMC, which has ssh_address
    bmc_user        TEXT   NOT NULL,
    bmc_password    TEXT   NOT NULL,           -- sealed
    bmc_certificate TEXT   NOT NULL,           -- SHA-256 in hex, or ''
    next_password   TEXT   NOT NULL,           -- sealed: one that may be valid instead, written before the BMC gets it; '' for none
    rotate_password BIGINT NOT NULL,           -- 1 = it is replaced after each tenant
    password_for    TEXT   NOT NULL,           -- the deployment after which it was last dealt with
    password_changed_at BIGINT,
    password_problem TEXT  NOT NULL,           -- why it was not replaced then; '' if it was
    refused_at      BIGINT,                    -- since when the BMC has refused Billet
    ssh_address     TEXT   NOT NULL,           -- host:port, or ''
    ssh_user        TEXT   NOT NULL,
    ssh_host_key    TEXT   NOT NULL,           -- of the operator's own system
    ssh_public_key  TEXT   NOT NULL,
    ssh_access      TEXT   NOT NULL,           -- sealed: the private key, and the host key of the idle system
    idle_image      TEXT   NOT NULL,           -- rack_image that is installed after an erasure
    system          TEXT   NOT NULL,           -- what it runs without a BMC: idle, tenant, or '' for the operator's own
    console         TEXT   NOT NULL,           -- how the BMC gives the serial console, or off
    console_port    BIGINT NOT NULL,           -- 0 = that of the kind
    console_user    TEXT   NOT NULL,
    console_password TEXT  NOT NULL,           -- sealed, or ''
    console_host_key TEXT  NOT NULL,           -- a line of an authorized_keys file, or ''
    macs            TEXT   NOT NULL,           -- JSON list
    mac             TEXT   NOT NULL UNIQUE,    -- the first of them
    prefix          TEXT   NOT NULL,           -- the address with the length of its prefix
    address         TEXT   NOT NULL UNIQUE,
    gateway         TEXT   NOT NULL,
    nameservers     TEXT   NOT NULL,           -- JSON list
    region          TEXT   NOT NULL,
    fabric          TEXT   NOT NULL,
    rack            TEXT   NOT NULL,
    position        BIGINT NOT NULL,           -- 0 = unknown
    height          BIGINT NOT NULL,
    labels          TEXT   NOT NULL,           -- JSON
    hourly_price    BIGINT NOT NULL,
    gpu_type        TEXT   NOT NULL,
    gpu_count       BIGINT NOT NULL,
    gpu_memory_gb   BIGINT NOT NULL,
    vcpus           BIGINT NOT NULL,
    memory_gb       BIGINT NOT NULL,
    storage_gb      BIGINT NOT NULL,
    offer_key       TEXT   NOT NULL,           -- the same for servers that are sold as one offer
    hardware        TEXT   NOT NULL,           -- JSON of the last inspection, or null
    destroyed       TEXT   NOT NULL,           -- JSON: drives that the operator has destroyed since the last erasure
    retiring        BIGINT NOT NULL,           -- 1 = retired, not sold again, once it is erased
    tenancy         TEXT   NOT NULL,           -- installing, running, off, failed or refused; '' without a deployment
    wanted          TEXT   NOT NULL,           -- on, off or reboot, which the deployment asked for; '' for nothing
    wanted_at       BIGINT,
    launch          TEXT   NOT NULL,           -- sealed: what is installed for the deployment
    installs        BIGINT NOT NULL,           -- how often something was installed for the deployment
    last_deployment TEXT   NOT NULL,           -- the one that has it, or had it last
    assigned_at     BIGINT,
    watched_at      BIGINT,                    -- when its power was last read
    detail          TEXT   NOT NULL,           -- what is going on, or what the BMC says
    created_at      BIGINT NOT NULL,
    changed_at      BIGINT NOT NULL,
    CHECK (unerased IN (0, 1)),
    CHECK ((bmc_url = '') <> (ssh_address = '')),
    CHECK (state <> 'ready' OR unerased = 0),  -- no server with a tenant's data is for sale
    CHECK (deployment_id IS NULL OR unerased = 1)
);
CREATE UNIQUE INDEX rack_machine_bmc ON rack_machine (bmc_url) WHERE bmc_url <> '';
CREATE UNIQUE INDEX rack_machine_ssh ON rack_machine (ssh_address) WHERE ssh_address <> '';
CREATE INDEX rack_machine_state ON rack_machine (state, id);
CREATE INDEX rack_machine_last ON rack_machine (last_deployment);
CREATE INDEX rack_machine_offer ON rack_machine (offer_key, state, id);

-- Who has the serial console of a deployment open. The end of the session deletes the row.
CREATE TABLE console_session (
    deployment_id TEXT   NOT NULL PRIMARY KEY,
    id            TEXT   NOT NULL UNIQUE,
    account_id    TEXT   NOT NULL,
    actor_kind    TEXT   NOT NULL,             -- as in audit
    actor_id      TEXT   NOT NULL,
    actor_name    TEXT   NOT NULL,
    address       TEXT   NOT NULL,
    request_id    TEXT   NOT NULL,
    opened_at     BIGINT NOT NULL,
    seen_at       BIGINT NOT NULL              -- when its server was last known to serve it
);

-- The agent's last job on each server. The agent proves by the token that it is the one that was started for it.
CREATE TABLE rack_job (
    machine_id  TEXT   NOT NULL PRIMARY KEY REFERENCES rack_machine (id),
    id          TEXT   NOT NULL,
    kind        TEXT   NOT NULL,               -- inspect, deploy, erase
    token_hash  TEXT   UNIQUE,                 -- SHA-256 in hex; NULL before the first start
    attempts    BIGINT NOT NULL,               -- how often the server was started for it
    created_at  BIGINT NOT NULL,
    booted_at   BIGINT,                        -- when the BMC had started the server for it
    claimed_at  BIGINT,                        -- when the agent asked for it
    heard_at    BIGINT,                        -- when the agent last reported
    number      BIGINT NOT NULL,               -- of the last report
    phase       TEXT   NOT NULL,
    progress    BIGINT NOT NULL,
    outcome     TEXT   NOT NULL,               -- done or stopped; '' while it runs
    error       TEXT   NOT NULL,
    hardware    TEXT   NOT NULL,               -- JSON, or null
    erasure     TEXT   NOT NULL,               -- JSON, or null
    closed      BIGINT NOT NULL                -- 1 = its outcome has been applied
);

-- What was erased after each deployment, for the operator and for the tenant who had the server.
CREATE TABLE rack_erasure (
    id            TEXT   NOT NULL PRIMARY KEY, -- that of the agent's job
    machine_id    TEXT   NOT NULL,             -- which may be removed since
    deployment_id TEXT   NOT NULL,             -- '' if none had it before
    started_at    BIGINT NOT NULL,
    ended_at      BIGINT NOT NULL,
    passed        BIGINT NOT NULL,
    reason        TEXT   NOT NULL,             -- why it did not pass; '' if it did
    drives        TEXT   NOT NULL              -- JSON
);
CREATE INDEX rack_erasure_deployment ON rack_erasure (deployment_id, id);
CREATE INDEX rack_erasure_machine ON rack_erasure (machine_id, id);
CREATE INDEX rack_erasure_ended ON rack_erasure (ended_at);

-- The certificate by which own servers know this program, at most one.
CREATE TABLE rack_identity (
    id          BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    certificate TEXT   NOT NULL,               -- DER in hex
    private_key TEXT   NOT NULL,               -- sealed
    created_at  BIGINT NOT NULL
);

-- The images that own servers can be installed with, at most 100.
CREATE TABLE rack_image (
    name       TEXT   NOT NULL PRIMARY KEY,    -- the operating system's, as offers list it
    url        TEXT   NOT NULL,
    sha256     TEXT   NOT NULL,
    format     TEXT   NOT NULL,                -- raw or qcow2
    bytes      BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- The last changes of each server's state.
CREATE TABLE rack_transition (
    machine_id TEXT   NOT NULL REFERENCES rack_machine (id),
    number     BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    from_state TEXT   NOT NULL,                -- '' for the first
    to_state   TEXT   NOT NULL,
    cause      TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    PRIMARY KEY (machine_id, number)
);

CREATE TABLE quote (
    id           TEXT   NOT NULL PRIMARY KEY,
    account_id   TEXT   NOT NULL,
    offer_id     TEXT   NOT NULL,
    hourly_price BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_by      TEXT                          -- the deployment that took it
);
CREATE INDEX quote_expires ON quote (expires_at);

CREATE TABLE spending_limit (
    key_id           TEXT   NOT NULL PRIMARY KEY,
    max_hourly_price BIGINT,
    max_per_day      BIGINT,
    max_per_month    BIGINT,
    max_deployments  BIGINT,
    gpu_types        TEXT   NOT NULL,          -- JSON list; empty for all
    turns            BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE spending_use (
    subject      TEXT   NOT NULL PRIMARY KEY,
    key_id       TEXT   NOT NULL,
    hourly_price BIGINT NOT NULL,
    from_at      BIGINT NOT NULL,
    until_at     BIGINT,                       -- NULL where no end is planned
    started      BIGINT NOT NULL DEFAULT 0,    -- 1 once from_at is when the first hour began
    over         BIGINT NOT NULL DEFAULT 0,    -- 1 once until_at is when it ended
    most_hours   BIGINT                        -- at most so many hours begin; NULL where nothing limits them
);
CREATE INDEX spending_use_key ON spending_use (key_id, until_at);

CREATE TABLE budget (
    id           TEXT   NOT NULL PRIMARY KEY,
    account_id   TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    scope        TEXT   NOT NULL,              -- JSON: {} or one of project, tag, apiKeyId
    period       TEXT   NOT NULL,              -- day, month, total
    amount       BIGINT NOT NULL,
    thresholds   TEXT   NOT NULL,              -- JSON list of percentages
    mode         TEXT   NOT NULL,              -- alert, block, terminate
    told         BIGINT NOT NULL,              -- the highest threshold that was told in the period
    told_since   BIGINT NOT NULL,              -- when that period began
    creator_type TEXT   NOT NULL,
    creator_id   TEXT   NOT NULL,
    creator_name TEXT   NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE INDEX budget_account ON budget (account_id, id);

CREATE TABLE webhook (
    id            TEXT   NOT NULL PRIMARY KEY,
    account_id    TEXT   NOT NULL,
    url           TEXT   NOT NULL,
    description   TEXT   NOT NULL,
    types         TEXT   NOT NULL,             -- JSON list; [] for all
    state         TEXT   NOT NULL,             -- enabled, disabled, paused
    reason        TEXT,                        -- why it is not enabled, unless its tenant disabled it
    secret        TEXT   NOT NULL,             -- sealed
    old_secret    TEXT   NOT NULL DEFAULT '',  -- sealed; the one before
    old_until     BIGINT,                      -- until when that one signs, too
    after_event   TEXT   NOT NULL,             -- the newest event that became a delivery, or was not wanted
    last          BIGINT NOT NULL DEFAULT 0,   -- place of its newest delivery
    failing_since BIGINT,                      -- first failure after the last success
    delivered_at  BIGINT,                      -- last success
    created_at    BIGINT NOT NULL,
    rest_until    BIGINT,
    creator_type  TEXT   NOT NULL DEFAULT '',
    creator_id    TEXT   NOT NULL DEFAULT '',
    creator_name  TEXT   NOT NULL DEFAULT ''     -- as it was then
);
CREATE INDEX webhook_account ON webhook (account_id, id);

CREATE TABLE webhook_delivery (
    id         TEXT   NOT NULL PRIMARY KEY,
    webhook_id TEXT   NOT NULL,
    place      BIGINT NOT NULL,                -- first attempts are made in this order
    event_id   TEXT   NOT NULL,
    type       TEXT   NOT NULL,
    body       TEXT   NOT NULL,
    state      TEXT   NOT NULL,                -- pending, delivered, failed
    attempts   BIGINT NOT NULL,                -- in all
    tries      BIGINT NOT NULL,                -- since it was queued
    queued_at  BIGINT NOT NULL,                -- when it was made, or sent again
    next_at    BIGINT NOT NULL,                -- of a pending one that was tried: not before
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX webhook_delivery_event ON webhook_delivery (webhook_id, event_id);
CREATE UNIQUE INDEX webhook_delivery_place ON webhook_delivery (webhook_id, place);
CREATE INDEX webhook_delivery_first ON webhook_delivery (webhook_id, place) WHERE state = 'pending' AND attempts = 0;
CREATE INDEX webhook_delivery_again ON webhook_delivery (webhook_id, next_at, place) WHERE state = 'pending' AND attempts > 0;
CREATE INDEX webhook_delivery_created ON webhook_delivery (created_at);
CREATE INDEX webhook_delivery_state ON webhook_delivery (webhook_id, state, place);

CREATE TABLE webhook_attempt (
    delivery_id TEXT   NOT NULL,
    number      BIGINT NOT NULL,               -- from 1
    at          BIGINT NOT NULL,
    status      BIGINT,                        -- of the response; NULL for none
    duration_ms BIGINT NOT NULL,
    problem     TEXT,
    response    TEXT   NOT NULL,
    PRIMARY KEY (delivery_id, number)
);

-- Device authorizations (RFC 8628): programs that request an API key, which a signed-in user approves. Codes are stored as hashes only.
CREATE TABLE device_authorization (
    id          TEXT   PRIMARY KEY,
    device_hash TEXT   NOT NULL UNIQUE,         -- SHA-256 in hex of the device code, which the program keeps
    user_hash   TEXT   NOT NULL UNIQUE,         -- SHA-256 in hex of the user code, which the user types
    client_id   TEXT   NOT NULL,                -- the name that the program gives itself
    scopes      TEXT   NOT NULL,                -- the scopes requested, separated by spaces; '' = unspecified
    address     TEXT   NOT NULL,                -- IP address of the request
    network     TEXT   NOT NULL,                -- the network that the pending limit counts
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    polled_at   BIGINT,                         -- last token request while pending
    decided_at  BIGINT,                         -- NULL = neither approved nor denied
    decided_by  TEXT   REFERENCES users (id),
    account_id  TEXT   REFERENCES account (id), -- account in which it was decided
    key_id      TEXT   REFERENCES api_key (id), -- once decided: NULL = denied
    issued_at   BIGINT                          -- first successful token request
);
CREATE INDEX device_authorization_expires ON device_authorization (expires_at);

-- What the database knows of the servers that use it, by name: the name of the secret key, the version of billetd.
CREATE TABLE installation (
    name  TEXT   PRIMARY KEY,
    value TEXT   NOT NULL
);

-- What the operator sets while the server runs: one row. The groups are JSON objects.
CREATE TABLE settings (
    id            BIGINT PRIMARY KEY CHECK (id = 1),
    version       BIGINT NOT NULL,             -- raised by every change
    changed_at    BIGINT,
    installation  TEXT   NOT NULL,
    mail          TEXT   NOT NULL,
    mail_password TEXT   NOT NULL,             -- sealed; '' = none
    sign_up       TEXT   NOT NULL,
    public_pages  TEXT   NOT NULL,
    branding      TEXT   NOT NULL,
    payments      TEXT   NOT NULL,
    wallet        TEXT   NOT NULL,
    stripe_key    TEXT   NOT NULL,             -- sealed; '' = none
    stripe_webhook_secret TEXT NOT NULL,       -- sealed; '' = none
    service_credits TEXT NOT NULL,
    gpu_health    TEXT   NOT NULL
);
INSERT INTO settings (id, version, installation, mail, mail_password, sign_up, public_pages, branding, payments,
    wallet, stripe_key, stripe_webhook_secret, service_credits, gpu_health)
VALUES (1, 0, '{}', '{}', '', '{}', '{}', '{}', '{}', '{}', '', '', '{}', '{}');

-- The logo: no row or one. settings.branding has what is known of it.
CREATE TABLE settings_logo (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    version    TEXT   NOT NULL,
    media_type TEXT   NOT NULL,
    content    TEXT   NOT NULL                 -- base64
);

-- Periods in which a provider did not answer or was paused. Deleted 90 days after their end.
CREATE TABLE provider_incident (
    id          TEXT   PRIMARY KEY,
    provider    TEXT   NOT NULL,
    kind        TEXT   NOT NULL,               -- no_answer, paused
    started_at  BIGINT NOT NULL,
    answered_at BIGINT,                        -- first answer since, while every later request is answered
    ended_at    BIGINT,                        -- NULL while it lasts
    told        TEXT   NOT NULL,               -- the last account that was told of the beginning
    told_at     BIGINT                         -- when all of them were
);
CREATE UNIQUE INDEX provider_incident_open ON provider_incident (provider, kind) WHERE ended_at IS NULL;
CREATE INDEX provider_incident_ended ON provider_incident (ended_at);

-- The accounts that were told of the beginning of an incident, until they are told of its end.
CREATE TABLE provider_incident_account (
    incident_id TEXT   NOT NULL,
    account_id  TEXT   NOT NULL,
    PRIMARY KEY (incident_id, account_id)
);

-- What the operator announces. Deleted 90 days after its end.
CREATE TABLE announcement (
    id         TEXT   PRIMARY KEY,
    title      TEXT   NOT NULL,
    text       TEXT   NOT NULL,
    level      TEXT   NOT NULL,                -- info, warning, critical
    starts_at  BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL,
    provider   TEXT   NOT NULL,                -- for accounts with a machine there; '' = for all
    region     TEXT   NOT NULL,                -- '' = all of the provider
    banner     BIGINT NOT NULL,                -- 0 or 1
    mail       BIGINT NOT NULL,                -- 0 or 1
    mailed     TEXT   NOT NULL,                -- the last account whose members' mails were queued
    mailed_at  BIGINT,                         -- when all of them were
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX announcement_ends ON announcement (ends_at);

-- The outbox, and what was sent from it in the last month.
CREATE TABLE mail (
    id         TEXT   PRIMARY KEY,
    kind       TEXT   NOT NULL,
    cause      TEXT   NOT NULL,                -- id of what caused it
    recipient  TEXT   NOT NULL,
    account_id TEXT   NOT NULL,                -- '' = it concerns none
    state      TEXT   NOT NULL,
    attempts   BIGINT NOT NULL,
    last_error TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,                -- given up then
    sent_at    BIGINT,
    data       TEXT   NOT NULL,                -- what it says, sealed; '' once it is no longer pending
    UNIQUE (cause, recipient, kind)
);
CREATE INDEX mail_recipient ON mail (recipient, kind, created_at);
CREATE INDEX mail_created ON mail (created_at, id) WHERE state <> 'pending';
CREATE INDEX mail_state ON mail (state, id);

CREATE TABLE mail_suppression (
    address          TEXT   PRIMARY KEY,
    reason           TEXT   NOT NULL,
    settings_version BIGINT NOT NULL,          -- it counts only while the settings have this version
    until_at         BIGINT NOT NULL
);
CREATE INDEX mail_suppression_until ON mail_suppression (until_at);

-- Which one server does something that only one may do, and until when by the database's clock.
CREATE TABLE server_lease (
    name     TEXT   PRIMARY KEY,
    holder   TEXT   NOT NULL,
    until_at BIGINT NOT NULL
);

-- The certificates that the server gets by ACME, and its attempts. Deleted a month after the certificate's end, once no server asks for it.
CREATE TABLE certificate (
    domain          TEXT   PRIMARY KEY,
    chain           TEXT   NOT NULL,           -- PEM; '' for none yet
    private_key     TEXT   NOT NULL,           -- sealed
    not_before_at   BIGINT,                    -- NULL for none yet
    not_after_at    BIGINT,
    failures        BIGINT NOT NULL,           -- attempts since the last success, including a running one
    fault           TEXT   NOT NULL,           -- why the last attempt failed; '' if it did not
    next_attempt_at BIGINT NOT NULL
);

-- The ACME account, and answers to challenges, which are deleted after a day.
CREATE TABLE acme_entry (
    name        TEXT   PRIMARY KEY,
    value       TEXT   NOT NULL,               -- sealed
    modified_at BIGINT NOT NULL
);

-- Who orders a certificate or registers the ACME account, and until when by the database's clock.
CREATE TABLE acme_lock (
    name     TEXT   PRIMARY KEY,
    holder   TEXT   NOT NULL,
    until_at BIGINT NOT NULL
);

-- Rows are written here and deleted in the same transaction, to see whether anything can be written.
CREATE TABLE write_try (
    id     TEXT   PRIMARY KEY,
    filler TEXT   NOT NULL
);

CREATE TABLE wallet_day (
    account_id TEXT   NOT NULL,
    day        BIGINT NOT NULL,
    provider   TEXT   NOT NULL,
    gpu_type   TEXT   NOT NULL,
    cost       BIGINT NOT NULL,
    PRIMARY KEY (account_id, day, provider, gpu_type)
);
-- What usage is grouped by beside the labels of the charges.
CREATE TABLE wallet_subject (
    subject      TEXT   PRIMARY KEY,
    account_id   TEXT   NOT NULL,
    project      TEXT   NOT NULL DEFAULT '',
    tags         TEXT   NOT NULL DEFAULT '[]',  -- JSON list
    creator_type TEXT   NOT NULL DEFAULT '',
    creator_id   TEXT   NOT NULL DEFAULT '',
    creator_name TEXT   NOT NULL DEFAULT '',
    spent        BIGINT NOT NULL DEFAULT 0,     -- charges less refunds
    bound        BIGINT NOT NULL DEFAULT 0      -- what its charges will be at least
);
CREATE INDEX wallet_subject_bound ON wallet_subject (account_id) WHERE bound > 0;

-- What the subjects of an account that are described alike have spent. Rows of 0 are deleted when a subject leaves them.
CREATE TABLE wallet_spent (
    account_id   TEXT   NOT NULL,
    kind         TEXT   NOT NULL,               -- a hash of the description: lists of tags are too long for a key
    project      TEXT   NOT NULL,
    tags         TEXT   NOT NULL,               -- JSON list
    creator_type TEXT   NOT NULL,
    creator_id   TEXT   NOT NULL,
    cost         BIGINT NOT NULL,
    PRIMARY KEY (account_id, kind)
);

CREATE INDEX wallet_day_day ON wallet_day (day);

CREATE TABLE wallet_day_subject (
    account_id TEXT   NOT NULL,
    day        BIGINT NOT NULL,
    subject    TEXT   NOT NULL,
    name       TEXT   NOT NULL,                -- the last one by the alphabet, where it had several
    cost       BIGINT NOT NULL,
    PRIMARY KEY (account_id, day, subject)
);

-- How often something that can be guessed was tried within a window. Replicas share it.
-- A row is deleted when its window has passed.
CREATE TABLE throttle (
    source TEXT   PRIMARY KEY,                 -- SHA-256 in hex of what is counted: no address, email or mistyped password is kept
    tries  BIGINT NOT NULL,
    until  BIGINT NOT NULL                     -- when the window ends
);
CREATE INDEX throttle_until ON throttle (until);

-- How much an account may have at once. NULL is the default; in the row of the defaults, whose account_id is '', it is no limit.
CREATE TABLE quota (
    account_id   TEXT   PRIMARY KEY,
    machines     BIGINT,
    gpus         BIGINT,
    hourly_spend BIGINT,                       -- micro-dollars
    volumes      BIGINT,
    volume_gb    BIGINT,
    changed_at   BIGINT NOT NULL
);

-- Links sent to an email address. A user who opens one reads mail at that address.
CREATE TABLE email_link (
    token_hash    TEXT   PRIMARY KEY,          -- SHA-256 of the token, in hex
    kind          TEXT   NOT NULL,             -- registration, password_reset
    email         TEXT   NOT NULL,             -- normalized
    invited       BIGINT NOT NULL,             -- 1 for a registration that an operator invited to
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    UNIQUE (kind, email)
);
CREATE INDEX email_link_expires ON email_link (expires_at);

-- Codes for the page on which the first user is created. There are at most ten, and none once there is a user.
CREATE TABLE setup_code (
    code_hash  TEXT   PRIMARY KEY,             -- SHA-256 of the code, in hex
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Terms of service that users accepted.
CREATE TABLE terms_acceptance (
    user_id     TEXT   NOT NULL REFERENCES users (id),
    version     TEXT   NOT NULL,
    accepted_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, version)
);

-- Challenges that were solved, until they expire.
CREATE TABLE altcha_solved (
    signature  TEXT   PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX altcha_solved_expires ON altcha_solved (expires_at);

-- +goose Down
DROP TABLE altcha_solved;
DROP TABLE terms_acceptance;
DROP TABLE setup_code;
DROP TABLE email_link;
DROP TABLE quota;
DROP TABLE throttle;
DROP TABLE wallet_day_subject;
DROP TABLE wallet_spent;
DROP TABLE wallet_subject;
DROP TABLE wallet_day;
DROP TABLE write_try;
DROP TABLE acme_lock;
DROP TABLE acme_entry;
DROP TABLE certificate;
DROP TABLE server_lease;
DROP TABLE mail_suppression;
DROP TABLE mail;
DROP TABLE settings;
DROP TABLE installation;
DROP TABLE device_authorization;
DROP TABLE webhook_attempt;
DROP TABLE webhook_delivery;
DROP TABLE webhook;
DROP TABLE budget;
DROP TABLE spending_use;
DROP TABLE spending_limit;
DROP TABLE quote;
DROP TABLE rack_image;
DROP TABLE rack_identity;
DROP TABLE rack_erasure;
DROP TABLE rack_job;
DROP TABLE rack_transition;
DROP TABLE rack_machine;
DROP TABLE price_rule_version;
DROP TABLE price_rule;
DROP TABLE provider_account_version;
DROP TABLE provider_account;
DROP TABLE catalog_attempt;
DROP TABLE meter_cost;
DROP TABLE archive_file;
DROP TABLE event_counter;
DROP TABLE identity;
DROP TABLE challenge;
DROP TABLE passkey;
DROP TABLE recovery_code;
DROP TABLE totp;
DROP TABLE audit;
DROP TABLE invitation;
DROP TABLE membership;
DROP TABLE issue;
DROP TABLE low_balance;
DROP TABLE past_due;
DROP TABLE deployment_tag;
DROP TABLE deployment;
DROP TABLE volume;
DROP TABLE os_image;
DROP TABLE ssh_key;
DROP TABLE catalog_volume_price;
DROP TABLE catalog_price_point;
DROP TABLE catalog_offer;
DROP TABLE catalog_provider;
DROP TABLE catalog_version;
DROP TABLE idempotency;
DROP TABLE event;
DROP TABLE job;
DROP TABLE meter;
DROP TABLE wallet_charge;
DROP TABLE wallet_hold;
DROP TABLE transfer_payment;
DROP TABLE demo_detached;
DROP TABLE demo_refund;
DROP TABLE demo_payment;
DROP TABLE auto_top_up;
DROP TABLE payment_method;
DROP TABLE payment_customer;
DROP TABLE payment_cursor;
DROP TABLE payment_event;
DROP TABLE top_up_dispute;
DROP TABLE top_up_refund;
DROP TABLE top_up;
DROP TABLE promo_mailbox;
DROP TABLE promo_redemption;
DROP TABLE promo_code;
DROP TABLE credit_position;
DROP TABLE credit;
DROP TABLE wallet_credit;
DROP TABLE wallet_entry;
DROP TABLE wallet_transaction;
DROP TABLE wallet;
DROP TABLE account_view;
DROP TABLE session;
DROP TABLE api_key;
DROP TABLE users;
DROP TABLE account;
DROP TABLE schema_migration;
