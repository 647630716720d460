-- Users, roles, permissions, keys, usage, and the record of every change.
--
-- A statement ends at a line that ends with a semicolon. Names sort by their bytes (COLLATE "C"),
-- so that a page of a list begins where the one before ended whatever the database's locale.

CREATE TABLE instance (
    only_row           boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    id                 uuid        NOT NULL,
    id_key             bytea       NOT NULL CHECK (octet_length(id_key) = 32),
    secret_fingerprint bytea       CHECK (octet_length(secret_fingerprint) = 16),
    created_at         timestamptz NOT NULL
);
COMMENT ON TABLE instance IS 'Who this store is: one row, made by the first migration';
COMMENT ON COLUMN instance.only_row IS 'Always true: there is one row';
COMMENT ON COLUMN instance.id IS 'Tells this store from any other, for instance an empty one after a failover';
COMMENT ON COLUMN instance.id_key IS 'Keys the MAC inside lookup ids; it guards nothing but the store';
COMMENT ON COLUMN instance.secret_fingerprint IS 'Of the SECRET_KEY that the nodes share; null before the first node started';
COMMENT ON COLUMN instance.created_at IS 'When the first migration ran';

CREATE TABLE users (
    id                uuid        PRIMARY KEY,
    email             text        NOT NULL
        CONSTRAINT users_email_shape CHECK (
            char_length(email) BETWEEN 3 AND 254 AND strpos(email, '@') > 1),
    email_folded      text        NOT NULL,
    display_name      text
        CONSTRAINT users_display_name_length CHECK (char_length(display_name) BETWEEN 1 AND 200),
    subscription_tier text
        CONSTRAINT users_subscription_tier_length CHECK (
            char_length(subscription_tier) BETWEEN 1 AND 64),
    is_locked         boolean     NOT NULL DEFAULT false,
    locked_until      timestamptz,
    lock_reason       text
        CONSTRAINT users_lock_reason_length CHECK (char_length(lock_reason) BETWEEN 1 AND 500),
    locked_by         uuid,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    deleted_at        timestamptz,
    CHECK (is_locked OR (locked_until IS NULL AND lock_reason IS NULL AND locked_by IS NULL))
);
CREATE UNIQUE INDEX users_email ON users (email_folded) WHERE deleted_at IS NULL;
COMMENT ON TABLE users IS 'The owners of API keys';
COMMENT ON COLUMN users.id IS 'UUID v7, so that the order of ids is the order of creation';
COMMENT ON COLUMN users.email IS 'As it was given';
COMMENT ON COLUMN users.email_folded IS 'In lower case (of all of Unicode), by which it is unique';
COMMENT ON COLUMN users.display_name IS 'For people';
COMMENT ON COLUMN users.subscription_tier IS 'The name of a tier in the configuration; null is unlimited';
COMMENT ON COLUMN users.is_locked IS 'True from a lock to its unlock, also when locked_until has passed';
COMMENT ON COLUMN users.locked_until IS 'When the lock ends; null is a lock without an end of its own';
COMMENT ON COLUMN users.lock_reason IS 'Why, for people';
COMMENT ON COLUMN users.locked_by IS 'The user who locked the account; null is the command line';
COMMENT ON COLUMN users.created_at IS 'When the account was made';
COMMENT ON COLUMN users.updated_at IS 'When the account or its roles last changed';
COMMENT ON COLUMN users.deleted_at IS 'A deleted account keeps its row, for the audit log and usage; its email is free again';

CREATE TABLE roles (
    name        text COLLATE "C" PRIMARY KEY
        CONSTRAINT roles_name_length CHECK (char_length(name) BETWEEN 1 AND 100),
    description text
        CONSTRAINT roles_description_length CHECK (char_length(description) <= 500),
    built_in    boolean     NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
COMMENT ON TABLE roles IS 'Named sets of permissions';
COMMENT ON COLUMN roles.name IS 'What people call it, unique';
COMMENT ON COLUMN roles.description IS 'For people';
COMMENT ON COLUMN roles.built_in IS 'Comes with Gatepost and cannot be changed';
COMMENT ON COLUMN roles.created_at IS 'When it was made';
COMMENT ON COLUMN roles.updated_at IS 'When it or its permissions last changed';

CREATE TABLE role_permissions (
    role    text COLLATE "C" NOT NULL REFERENCES roles (name) ON DELETE CASCADE,
    pattern text COLLATE "C" NOT NULL
        CONSTRAINT role_permissions_pattern_length CHECK (char_length(pattern) BETWEEN 1 AND 200),
    PRIMARY KEY (role, pattern)
);
COMMENT ON TABLE role_permissions IS 'What a role grants';
COMMENT ON COLUMN role_permissions.role IS 'The role';
COMMENT ON COLUMN role_permissions.pattern IS 'resource:action, either side may be *; or *, or admin';

CREATE TABLE user_roles (
    user_id    uuid             NOT NULL REFERENCES users (id),
    role       text COLLATE "C" NOT NULL REFERENCES roles (name),
    granted_at timestamptz      NOT NULL,
    granted_by uuid,
    PRIMARY KEY (user_id, role)
);
CREATE INDEX user_roles_role ON user_roles (role);
COMMENT ON TABLE user_roles IS 'Who holds which role';
COMMENT ON COLUMN user_roles.user_id IS 'The holder';
COMMENT ON COLUMN user_roles.role IS 'The role';
COMMENT ON COLUMN user_roles.granted_at IS 'Since when';
COMMENT ON COLUMN user_roles.granted_by IS 'The user who gave it; null is the command line';

CREATE TABLE permissions (
    name        text COLLATE "C" PRIMARY KEY
        CONSTRAINT permissions_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
    category    text
        CONSTRAINT permissions_category_length CHECK (char_length(category) BETWEEN 1 AND 100),
    description text
        CONSTRAINT permissions_description_length CHECK (char_length(description) <= 500),
    built_in    boolean     NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL
);
COMMENT ON TABLE permissions IS 'The permissions that people may choose from';
COMMENT ON COLUMN permissions.name IS 'resource:action, or admin';
COMMENT ON COLUMN permissions.category IS 'A heading to list it under';
COMMENT ON COLUMN permissions.description IS 'For people';
COMMENT ON COLUMN permissions.built_in IS 'Comes with Gatepost and cannot be deleted';
COMMENT ON COLUMN permissions.created_at IS 'When it was made';

CREATE TABLE api_keys (
    id           uuid             PRIMARY KEY,
    user_id      uuid             NOT NULL REFERENCES users (id),
    lookup_id    text COLLATE "C" CHECK (lookup_id ~ '^[0-9A-Za-z]{16}$'),
    key_hash     bytea            NOT NULL CHECK (octet_length(key_hash) = 32),
    name         text             NOT NULL
        CONSTRAINT api_keys_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
    permissions  text[]           NOT NULL
        CONSTRAINT api_keys_permissions_count CHECK (cardinality(permissions) <= 200),
    environment  text             NOT NULL
        CONSTRAINT api_keys_environment_shape CHECK (environment ~ '^[a-z0-9]{2,12}$'),
    allowed_ips  cidr[]           NOT NULL
        CONSTRAINT api_keys_allowed_ips_count CHECK (cardinality(allowed_ips) <= 200),
    rate         text
        CONSTRAINT api_keys_rate_length CHECK (char_length(rate) BETWEEN 1 AND 64),
    quota        text
        CONSTRAINT api_keys_quota_length CHECK (char_length(quota) BETWEEN 1 AND 64),
    expires_at   timestamptz,
    disabled     boolean          NOT NULL DEFAULT false,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    metadata     jsonb
        CONSTRAINT api_keys_metadata_size CHECK (octet_length(metadata::text) <= 8192),
    rotated_from uuid             REFERENCES api_keys (id),
    created_by   uuid,
    created_at   timestamptz      NOT NULL,
    updated_at   timestamptz      NOT NULL
);
CREATE UNIQUE INDEX api_keys_lookup_id ON api_keys (lookup_id);
CREATE UNIQUE INDEX api_keys_key_hash ON api_keys (key_hash);
CREATE INDEX api_keys_user ON api_keys (user_id, id);
COMMENT ON TABLE api_keys IS 'API keys, never the keys themselves';
COMMENT ON COLUMN api_keys.id IS 'UUID v7, so that the order of ids is the order of creation';
COMMENT ON COLUMN api_keys.user_id IS 'The owner';
COMMENT ON COLUMN api_keys.lookup_id IS 'The public part of the key; null for a key imported by its digest';
COMMENT ON COLUMN api_keys.key_hash IS 'SHA-256 of the whole key';
COMMENT ON COLUMN api_keys.name IS 'For people';
COMMENT ON COLUMN api_keys.permissions IS 'Patterns; what the key may do is these and its owner''s roles, both';
COMMENT ON COLUMN api_keys.environment IS 'live, test, dev, staging, …';
COMMENT ON COLUMN api_keys.allowed_ips IS 'Networks it may be used from; an empty list means any';
COMMENT ON COLUMN api_keys.rate IS 'A limit of its own, e.g. 60/min; null follows the owner''s tier';
COMMENT ON COLUMN api_keys.quota IS 'A quota of its own, e.g. 10000/month; null follows the owner''s tier';
COMMENT ON COLUMN api_keys.expires_at IS 'From then on it is refused; null never';
COMMENT ON COLUMN api_keys.disabled IS 'Out of use until enabled again';
COMMENT ON COLUMN api_keys.revoked_at IS 'Out of use for ever; once set it is never cleared or moved';
COMMENT ON COLUMN api_keys.last_used_at IS 'From usage records, a little late';
COMMENT ON COLUMN api_keys.metadata IS 'JSON of the owner''s choice; Gatepost does not read it';
COMMENT ON COLUMN api_keys.rotated_from IS 'The key that this one took the place of';
COMMENT ON COLUMN api_keys.created_by IS 'The user who made it; null is the command line';
COMMENT ON COLUMN api_keys.created_at IS 'When it was made';
COMMENT ON COLUMN api_keys.updated_at IS 'When it last changed, use aside';

-- A btree beside the primary key would cost more than the row; BRIN on an append-only time is
-- nearly free and finds a day.
CREATE TABLE api_usage (
    id               bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id          uuid,
    api_key_id       uuid,
    endpoint         text        NOT NULL,
    method           text        NOT NULL,
    status_code      smallint    NOT NULL,
    created_at       timestamptz NOT NULL,
    request_id       uuid        NOT NULL,
    node             text        NOT NULL,
    route            text,
    outcome          text        NOT NULL,
    gateway_time_us  bigint      NOT NULL,
    upstream_time_us bigint,
    request_bytes    bigint      NOT NULL,
    response_bytes   bigint      NOT NULL,
    client_ip        inet        NOT NULL
);
CREATE INDEX api_usage_created_at ON api_usage USING brin (created_at);
COMMENT ON TABLE api_usage IS 'One row per request, allowed or refused; append only';
COMMENT ON COLUMN api_usage.id IS 'In the order of arrival at the store';
COMMENT ON COLUMN api_usage.user_id IS 'Null for a request without a key that we know';
COMMENT ON COLUMN api_usage.api_key_id IS 'Null for a request without a key that we know';
COMMENT ON COLUMN api_usage.endpoint IS 'The path without its query, at most 2 KiB';
COMMENT ON COLUMN api_usage.method IS 'The HTTP method';
COMMENT ON COLUMN api_usage.status_code IS 'What the client was answered';
COMMENT ON COLUMN api_usage.created_at IS 'When the request arrived';
COMMENT ON COLUMN api_usage.request_id IS 'The X-Request-Id of the answer';
COMMENT ON COLUMN api_usage.node IS 'The node that served it';
COMMENT ON COLUMN api_usage.route IS 'The name of the route that matched; null when none did';
COMMENT ON COLUMN api_usage.outcome IS 'allow, or the code of the denial or failure';
COMMENT ON COLUMN api_usage.gateway_time_us IS 'What Gatepost itself took, in microseconds';
COMMENT ON COLUMN api_usage.upstream_time_us IS 'What the upstream took; null when it was not asked';
COMMENT ON COLUMN api_usage.request_bytes IS 'The body''s length';
COMMENT ON COLUMN api_usage.response_bytes IS 'The body''s length';
COMMENT ON COLUMN api_usage.client_ip IS 'The client, as far as trusted proxies tell';

CREATE TABLE usage_batches (
    id uuid        PRIMARY KEY,
    at timestamptz NOT NULL
);
COMMENT ON TABLE usage_batches IS 'Batches of usage that were recorded, so that a retry counts once';
COMMENT ON COLUMN usage_batches.id IS 'Chosen by the node that sent it';
COMMENT ON COLUMN usage_batches.at IS 'When it was recorded';

CREATE TABLE changes (
    seq          bigint      PRIMARY KEY,
    subject_kind text        NOT NULL
        CHECK (subject_kind IN ('key', 'imported', 'user', 'role', 'permission')),
    subject      text        NOT NULL,
    at           timestamptz NOT NULL
);
COMMENT ON TABLE changes IS 'The change feed, in commit order and without gaps; nodes follow it, and the newest row stays';
COMMENT ON COLUMN changes.seq IS 'One more than the row before; writers take a lock to have it so';
COMMENT ON COLUMN changes.subject_kind IS 'What changed';
COMMENT ON COLUMN changes.subject IS 'A lookup id, a digest in hex, a user''s id, or a name';
COMMENT ON COLUMN changes.at IS 'When';

CREATE TABLE audit_log (
    seq           bigint      PRIMARY KEY,
    at            timestamptz NOT NULL,
    action        text        NOT NULL,
    actor_user_id uuid,
    actor_key_id  uuid,
    actor_ip      inet,
    request_id    uuid,
    subject_kind  text        NOT NULL
        CHECK (subject_kind IN ('key', 'user', 'role', 'permission')),
    subject_id    text        NOT NULL,
    before        jsonb,
    after         jsonb
);
CREATE INDEX audit_log_subject ON audit_log (subject_kind, subject_id, seq);
COMMENT ON TABLE audit_log IS 'Who changed what; written in the transaction of the change, never holds a secret or a digest';
COMMENT ON COLUMN audit_log.seq IS 'One more than the row before';
COMMENT ON COLUMN audit_log.at IS 'When';
COMMENT ON COLUMN audit_log.action IS 'The name of the change, e.g. revoke_key';
COMMENT ON COLUMN audit_log.actor_user_id IS 'Null, as is the key: the command line, straight on the store';
COMMENT ON COLUMN audit_log.actor_key_id IS 'The key that was used';
COMMENT ON COLUMN audit_log.actor_ip IS 'Where it was used from';
COMMENT ON COLUMN audit_log.request_id IS 'The X-Request-Id of the request that asked for it';
COMMENT ON COLUMN audit_log.subject_kind IS 'What was changed';
COMMENT ON COLUMN audit_log.subject_id IS 'An id or a name';
COMMENT ON COLUMN audit_log.before IS 'The subject as it was; null when it did not exist';
COMMENT ON COLUMN audit_log.after IS 'The subject as it became; null when it is no more';
