-- The whole current schema of the database. A change here needs a new version: an upgrade step in
-- src/store/schema.rs and a frozen copy in tests/schemas.
--
-- Times are milliseconds since the Unix epoch. Row numbers never leave the service.

CREATE TABLE organisations (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    id              INTEGER PRIMARY KEY,
    organisation_id INTEGER NOT NULL REFERENCES organisations (id),
    digest          BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),    -- SHA-256 of the key
    prefix          TEXT    NOT NULL CHECK (prefix IN ('PROD', 'DEV_', 'ROOT')),
    hint            TEXT    NOT NULL CHECK (length(hint) = 4),              -- its last four characters
    source          TEXT    NOT NULL CHECK (source IN ('config', 'cli')),   -- who has the say about it
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER,
    revoked_at      INTEGER,
    permissions     TEXT,                   -- names with commas between them; null: all
    rotated_at      INTEGER                 -- when another one was made in its place
) STRICT;

CREATE TABLE customers (
    id                  INTEGER PRIMARY KEY,
    organisation_id     INTEGER NOT NULL REFERENCES organisations (id),
    cu_ref_no           TEXT    NOT NULL CHECK (length(cu_ref_no) = 16),
    email               TEXT,               -- normalised; null for a phone-only contact
    email_canonical     TEXT,               -- decides whose address it is; never shown
    phone               TEXT,
    first_name          TEXT,
    last_name           TEXT,
    company_name        TEXT,
    created_at          INTEGER NOT NULL,
    registered_at       INTEGER,            -- null: a guest
    email_authorized_at INTEGER,            -- null: not authorized (E007)
    referred_by         INTEGER REFERENCES customers (id),
    session_epoch       INTEGER NOT NULL DEFAULT 0,     -- raised to end all sessions of earlier epochs
    erased_at           INTEGER,            -- a person who was forgotten: only the cu_ref_no is left
    countries           TEXT,               -- from which the customer has signed in, with commas between them
    UNIQUE (organisation_id, email_canonical),
    UNIQUE (organisation_id, cu_ref_no),
    CHECK ((email IS NULL) = (email_canonical IS NULL)),
    CHECK (referred_by <> id)
) STRICT;

-- Most customers have no telephone, and cost the index nothing.
CREATE UNIQUE INDEX customers_by_phone ON customers (organisation_id, phone) WHERE phone IS NOT NULL;

-- Imported customers whose referrer has not come yet: further down in the file, or in another one.
CREATE TABLE pending_referrals (
    customer_id INTEGER PRIMARY KEY REFERENCES customers (id),
    cu_ref_no   TEXT    NOT NULL
) STRICT;

CREATE TABLE bans (
    id          INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    reason      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,                    -- null: until it is lifted
    lifted_at   INTEGER
) STRICT;

CREATE INDEX bans_by_customer ON bans (customer_id);

-- No index on customer_id: a sign-in would pay for it. What ends all sessions of a customer is
-- customers.session_epoch.
CREATE TABLE sessions (
    id            INTEGER PRIMARY KEY,      -- milliseconds << 22 | random: rows are appended
    digest        BLOB    NOT NULL CHECK (length(digest) = 32),     -- SHA-256 of the identity id
    customer_id   INTEGER NOT NULL REFERENCES customers (id),
    session_epoch INTEGER NOT NULL,
    ip            TEXT,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    last_seen_at  INTEGER NOT NULL,
    revoked_at    INTEGER                   -- logged out
) STRICT;

-- Rows are appended in the order of time and read from the end, so that they need no index.
CREATE TABLE login_attempts (
    id              INTEGER PRIMARY KEY,
    organisation_id INTEGER NOT NULL REFERENCES organisations (id),
    api_key_id      INTEGER NOT NULL REFERENCES api_keys (id),
    customer_id     INTEGER REFERENCES customers (id),
    mailbox         INTEGER,                -- 64 bits of a hash of the canonical address; null: no valid address
    email           TEXT,                   -- the address, where no customer stands for it
    ip              TEXT,
    outcome         TEXT    NOT NULL
        -- (SQLite would make a table of a list in memory, for each row.)
        CHECK (outcome = 'OK' OR outcome = 'denied' OR outcome GLOB 'E00[1-7]'),
    at              INTEGER NOT NULL,
    count           INTEGER NOT NULL DEFAULT 1,     -- like refusals (E006) within a second share a row
    new_country     INTEGER NOT NULL DEFAULT 0      -- signed in from a country that is new for the customer
) STRICT;

-- What is known of an address from which somebody has signed in.
CREATE TABLE ip_intelligence (
    ip          TEXT    PRIMARY KEY,
    country     TEXT,
    city        TEXT,
    asn         INTEGER,
    as_name     TEXT,
    flags       TEXT,                       -- those that are set, with commas between them
    facts       TEXT    NOT NULL,           -- all of it, as JSON
    due_at      INTEGER NOT NULL            -- when it is to be found out anew
) STRICT, WITHOUT ROWID;
