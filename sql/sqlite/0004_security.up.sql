-- Failed attempts, the locks they lead to, where accounts are at home, and security events.
--
-- Times are microseconds since 1970-01-01 UTC, ids are UUIDs in their usual text form. A statement
-- ends at a line that ends with a semicolon.

-- What has been counted lately; the node adds to it once a second.
CREATE TABLE failed_attempts (
    -- source: any failure; guess: a wrong secret; account, key: a right secret and a wrong request.
    kind       TEXT    NOT NULL CHECK (kind IN ('source', 'guess', 'account', 'key')),
    -- The account or key; all zeros for a source.
    subject    TEXT    NOT NULL CHECK (length(subject) = 36),
    -- An IPv4 address or an IPv6 /64; empty for account and key.
    source     TEXT    NOT NULL,
    -- What tells one misuse from another; empty for source and guess.
    what       TEXT    NOT NULL,
    -- The lock or clearing that they came after.
    since      INTEGER NOT NULL,
    -- Where the slot of the window begins that they are counted in.
    slot_at    INTEGER NOT NULL,
    count      INTEGER NOT NULL CHECK (count > 0),
    -- When it last grew; the node reads what is recent.
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (kind, subject, source, what, since, slot_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX failed_attempts_updated_at ON failed_attempts (updated_at);
CREATE INDEX failed_attempts_subject ON failed_attempts (subject);
CREATE INDEX failed_attempts_source ON failed_attempts (source);

-- Automatic blocks and locks; those that have ended tell how long the next one lasts.
CREATE TABLE lockouts (
    -- By which it is lifted.
    id         TEXT    PRIMARY KEY CHECK (length(id) = 36),
    -- source: strangers from there; guess: an account from there; account, key: everywhere.
    kind       TEXT    NOT NULL CHECK (kind IN ('source', 'guess', 'account', 'key')),
    -- The account or key; all zeros for a source.
    subject    TEXT    NOT NULL CHECK (length(subject) = 36),
    -- An IPv4 address or an IPv6 /64; empty for account and key.
    source     TEXT    NOT NULL,
    -- When it began, and when it ends.
    at         INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    -- How many there have been without a quiet time between them.
    strikes    INTEGER NOT NULL CHECK (strikes BETWEEN 0 AND 255),
    -- When it was lifted, and what was counted forgotten; null for one that was not.
    cleared_at INTEGER,
    -- When it last changed; the node reads what is recent.
    updated_at INTEGER NOT NULL,
    UNIQUE (kind, subject, source)
) STRICT, WITHOUT ROWID;

CREATE INDEX lockouts_until ON lockouts (until);
CREATE INDEX lockouts_updated_at ON lockouts (updated_at);

-- Where accounts authenticated well in the last day: guessing there does not lock them.
CREATE TABLE known_sources (
    user_id    TEXT    NOT NULL CHECK (length(user_id) = 36),
    -- An IPv4 address or an IPv6 /64.
    source     TEXT    NOT NULL,
    -- When, to some ten minutes.
    last_seen  INTEGER NOT NULL,
    -- When it was noted; the node reads what is recent.
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, source)
) STRICT, WITHOUT ROWID;

CREATE INDEX known_sources_updated_at ON known_sources (updated_at);

-- What an operator should know.
CREATE TABLE security_events (
    -- One more than the row before.
    seq         INTEGER PRIMARY KEY,
    -- UUID v7; webhooks carry it.
    id          TEXT    NOT NULL UNIQUE CHECK (length(id) = 36),
    -- The same for the same thing noticed twice, which is then kept once.
    fingerprint TEXT    NOT NULL UNIQUE,
    at          INTEGER NOT NULL,
    -- brute_force, credential_stuffing, …
    kind        TEXT    NOT NULL,
    -- The node that noticed it.
    node        TEXT    NOT NULL,
    -- The account, the key and the IPv4 address or IPv6 /64 that it is about.
    user_id     TEXT,
    key_id      TEXT,
    source      TEXT,
    -- Numbers and times that it was noticed by, as JSON; never a secret.
    evidence    TEXT    NOT NULL
) STRICT;

CREATE INDEX security_events_at ON security_events (at);
CREATE INDEX security_events_kind ON security_events (kind, seq);
CREATE INDEX security_events_user ON security_events (user_id, seq);
