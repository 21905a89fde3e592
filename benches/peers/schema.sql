-- The tables that a careful first attempt would have: what the naive servers and Bun with Elysia write.

CREATE TABLE customers (
    id         INTEGER PRIMARY KEY,
    email      TEXT    NOT NULL UNIQUE,
    reference  TEXT    NOT NULL UNIQUE,
    first_name TEXT,
    last_name  TEXT
) STRICT;

CREATE TABLE sessions (
    digest      BLOB    PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    ip          TEXT,
    expires_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE attempts (
    id          INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    ip          TEXT,
    at          INTEGER NOT NULL
) STRICT;
