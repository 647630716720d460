-- Users, roles, permissions, keys, usage, and the record of every change.
--
-- Times are microseconds since 1970-01-01 UTC, ids are UUIDs in their usual text form, lists are
-- JSON text, and digests are 32 bytes. A statement ends at a line that ends with a semicolon.
-- `instr(x, char(0)) = 0` keeps out NUL, at which `length` would stop counting.

-- Who this store is: one row, made by the first migration.
CREATE TABLE instance (
    -- Always 1: there is one row.
    only_row           INTEGER PRIMARY KEY CHECK (only_row = 1),
    -- Tells this store from any other, for instance an empty one after a failover.
    id                 TEXT    NOT NULL CHECK (length(id) = 36),
    -- Keys the MAC inside lookup ids. It guards nothing but the store.
    id_key             BLOB    NOT NULL CHECK (length(id_key) = 32),
    -- Of the SECRET_KEY that the nodes share; null before the first node started.
    secret_fingerprint BLOB    CHECK (length(secret_fingerprint) = 16),
    created_at         INTEGER NOT NULL
) STRICT;

-- The owners of API keys.
CREATE TABLE users (
    -- UUID v7, so that the order of ids is the order of creation.
    id                TEXT    PRIMARY KEY CHECK (length(id) = 36),
    -- As it was given.
    email             TEXT    NOT NULL
        CONSTRAINT users_email_shape CHECK (
            length(email) BETWEEN 3 AND 254 AND instr(email, '@') > 1 AND instr(email, char(0)) = 0),
    -- In lower case (of all of Unicode), by which it is unique.
    email_folded      TEXT    NOT NULL,
    display_name      TEXT
        CONSTRAINT users_display_name_length CHECK (
            length(display_name) BETWEEN 1 AND 200 AND instr(display_name, char(0)) = 0),
    -- The name of a tier in the configuration; null is unlimited.
    subscription_tier TEXT
        CONSTRAINT users_subscription_tier_length CHECK (
            length(subscription_tier) BETWEEN 1 AND 64 AND instr(subscription_tier, char(0)) = 0),
    -- 1 from a lock to its unlock, also when `locked_until` has passed.
    is_locked         INTEGER NOT NULL DEFAULT 0 CHECK (is_locked IN (0, 1)),
    -- When the lock ends; null is a lock without an end of its own.
    locked_until      INTEGER,
    lock_reason       TEXT
        CONSTRAINT users_lock_reason_length CHECK (
            length(lock_reason) BETWEEN 1 AND 500 AND instr(lock_reason, char(0)) = 0),
    -- The user who locked the account; null is the command line.
    locked_by         TEXT,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    -- A deleted account keeps its row, for the audit log and usage; its email is free again.
    deleted_at        INTEGER,
    CHECK (is_locked = 1 OR (locked_until IS NULL AND lock_reason IS NULL AND locked_by IS NULL))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX users_email ON users (email_folded) WHERE deleted_at IS NULL;

-- Named sets of permissions.
CREATE TABLE roles (
    name        TEXT    PRIMARY KEY
        CONSTRAINT roles_name_length CHECK (
            length(name) BETWEEN 1 AND 100 AND instr(name, char(0)) = 0),
    description TEXT
        CONSTRAINT roles_description_length CHECK (
            length(description) <= 500 AND instr(description, char(0)) = 0),
    -- 1: comes with Gatepost and cannot be changed.
    built_in    INTEGER NOT NULL DEFAULT 0 CHECK (built_in IN (0, 1)),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a role grants.
CREATE TABLE role_permissions (
    role    TEXT NOT NULL REFERENCES roles (name) ON DELETE CASCADE,
    -- `resource:action`, either side may be `*`; or `*`, or `admin`.
    pattern TEXT NOT NULL
        CONSTRAINT role_permissions_pattern_length CHECK (length(pattern) BETWEEN 1 AND 200),
    PRIMARY KEY (role, pattern)
) STRICT, WITHOUT ROWID;

-- Who holds which role.
CREATE TABLE user_roles (
    user_id    TEXT    NOT NULL REFERENCES users (id),
    role       TEXT    NOT NULL REFERENCES roles (name),
    granted_at INTEGER NOT NULL,
    -- The user who gave it; null is the command line.
    granted_by TEXT,
    PRIMARY KEY (user_id, role)
) STRICT, WITHOUT ROWID;

CREATE INDEX user_roles_role ON user_roles (role);

-- The permissions that people may choose from.
CREATE TABLE permissions (
    -- `resource:action`, or `admin`.
    name        TEXT    PRIMARY KEY
        CONSTRAINT permissions_name_length CHECK (length(name) BETWEEN 1 AND 200),
    category    TEXT
        CONSTRAINT permissions_category_length CHECK (
            length(category) BETWEEN 1 AND 100 AND instr(category, char(0)) = 0),
    description TEXT
        CONSTRAINT permissions_description_length CHECK (
            length(description) <= 500 AND instr(description, char(0)) = 0),
    -- 1: comes with Gatepost and cannot be deleted.
    built_in    INTEGER NOT NULL DEFAULT 0 CHECK (built_in IN (0, 1)),
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- API keys, never the keys themselves.
CREATE TABLE api_keys (
    -- UUID v7, so that the order of ids is the order of creation.
    id           TEXT    PRIMARY KEY CHECK (length(id) = 36),
    user_id      TEXT    NOT NULL REFERENCES users (id),
    -- The public part of the key; null for a key imported by its digest.
    lookup_id    TEXT    CHECK (length(lookup_id) = 16),
    -- SHA-256 of the whole key.
    key_hash     BLOB    NOT NULL CHECK (length(key_hash) = 32),
    name         TEXT    NOT NULL
        CONSTRAINT api_keys_name_length CHECK (
            length(name) BETWEEN 1 AND 200 AND instr(name, char(0)) = 0),
    -- A list of patterns. What the key may do is these and its owner's roles, both.
    permissions  TEXT    NOT NULL
        CONSTRAINT api_keys_permissions_count CHECK (
            json_type(permissions) = 'array' AND json_array_length(permissions) <= 200),
    environment  TEXT    NOT NULL
        CONSTRAINT api_keys_environment_shape CHECK (
            length(environment) BETWEEN 2 AND 12 AND environment NOT GLOB '*[^a-z0-9]*'),
    -- A list of networks it may be used from; an empty one means any.
    allowed_ips  TEXT    NOT NULL
        CONSTRAINT api_keys_allowed_ips_count CHECK (
            json_type(allowed_ips) = 'array' AND json_array_length(allowed_ips) <= 200),
    -- A limit of its own, e.g. `60/min`; null follows the owner's tier.
    rate         TEXT
        CONSTRAINT api_keys_rate_length CHECK (
            length(rate) BETWEEN 1 AND 64 AND instr(rate, char(0)) = 0),
    -- A quota of its own, e.g. `10000/month`; null follows the owner's tier.
    quota        TEXT
        CONSTRAINT api_keys_quota_length CHECK (
            length(quota) BETWEEN 1 AND 64 AND instr(quota, char(0)) = 0),
    expires_at   INTEGER,
    -- 1: out of use until enabled again.
    disabled     INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    -- Out of use for ever. Once set it is never cleared or moved.
    revoked_at   INTEGER,
    -- From usage records, a little late.
    last_used_at INTEGER,
    -- JSON of the owner's choice; Gatepost does not read it.
    metadata     TEXT
        CONSTRAINT api_keys_metadata_size CHECK (
            json_valid(metadata) AND octet_length(metadata) <= 8192),
    -- The key that this one took the place of.
    rotated_from TEXT    REFERENCES api_keys (id),
    -- The user who made it; null is the command line.
    created_by   TEXT,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX api_keys_lookup_id ON api_keys (lookup_id);
CREATE UNIQUE INDEX api_keys_key_hash ON api_keys (key_hash);
CREATE INDEX api_keys_user ON api_keys (user_id, id);

-- One row per request, allowed or refused. Append only, and without an index beside its rowid:
-- each would cost more than the row.
CREATE TABLE api_usage (
    -- In the order of arrival at the store.
    id               INTEGER PRIMARY KEY,
    -- Null for a request without a key that we know.
    user_id          TEXT,
    api_key_id       TEXT,
    -- The path without its query, at most 2 KiB.
    endpoint         TEXT    NOT NULL,
    method           TEXT    NOT NULL,
    status_code      INTEGER NOT NULL,
    -- When the request arrived.
    created_at       INTEGER NOT NULL,
    request_id       TEXT    NOT NULL,
    -- The node that served it.
    node             TEXT    NOT NULL,
    -- The name of the route that matched; null when none did.
    route            TEXT,
    -- `allow`, or the code of the denial or failure.
    outcome          TEXT    NOT NULL,
    -- What Gatepost itself took, in microseconds.
    gateway_time_us  INTEGER NOT NULL,
    -- What the upstream took; null when it was not asked.
    upstream_time_us INTEGER,
    request_bytes    INTEGER NOT NULL,
    response_bytes   INTEGER NOT NULL,
    client_ip        TEXT    NOT NULL
) STRICT;

-- Batches of usage that were recorded, so that a retry counts once.
CREATE TABLE usage_batches (
    id TEXT    PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The change feed, in commit order and without gaps. Nodes follow it; the newest row stays.
CREATE TABLE changes (
    seq          INTEGER PRIMARY KEY,
    subject_kind TEXT    NOT NULL
        CHECK (subject_kind IN ('key', 'imported', 'user', 'role', 'permission')),
    -- A lookup id, a digest in hex, a user's id, or a name.
    subject      TEXT    NOT NULL,
    at           INTEGER NOT NULL
) STRICT;

-- Who changed what. Written in the transaction of the change; never holds a secret or a digest.
CREATE TABLE audit_log (
    seq          INTEGER PRIMARY KEY,
    at           INTEGER NOT NULL,
    -- The name of the change, e.g. `revoke_key`.
    action       TEXT    NOT NULL,
    -- Null, as is the key: the command line, straight on the store.
    actor_user_id TEXT,
    actor_key_id TEXT,
    actor_ip     TEXT,
    request_id   TEXT,
    subject_kind TEXT    NOT NULL
        CHECK (subject_kind IN ('key', 'user', 'role', 'permission')),
    -- An id or a name.
    subject_id   TEXT    NOT NULL,
    -- The subject as it was, in JSON; null when it did not exist.
    before       TEXT    CHECK (json_valid(before)),
    -- The subject as it became; null when it is no more.
    after        TEXT    CHECK (json_valid(after))
) STRICT;

CREATE INDEX audit_log_subject ON audit_log (subject_kind, subject_id, seq);
