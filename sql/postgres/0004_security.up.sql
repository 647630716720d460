-- Failed attempts, the locks they lead to, where accounts are at home, and security events.
-- A statement ends at a line that ends with a semicolon.

CREATE TABLE failed_attempts (
    kind       text COLLATE "C" NOT NULL CHECK (kind IN ('source', 'guess', 'account', 'key')),
    subject    uuid             NOT NULL,
    source     text COLLATE "C" NOT NULL,
    what       text COLLATE "C" NOT NULL,
    since      timestamptz      NOT NULL,
    slot_at    timestamptz      NOT NULL,
    count      integer          NOT NULL CHECK (count > 0),
    updated_at timestamptz      NOT NULL,
    PRIMARY KEY (kind, subject, source, what, since, slot_at)
);
CREATE INDEX failed_attempts_updated_at ON failed_attempts (updated_at);
CREATE INDEX failed_attempts_subject ON failed_attempts (subject);
CREATE INDEX failed_attempts_source ON failed_attempts (source);
COMMENT ON TABLE failed_attempts IS 'What all nodes have counted lately; each adds to it once a second';
COMMENT ON COLUMN failed_attempts.kind IS 'source: any failure; guess: a wrong secret; account, key: a right secret and a wrong request';
COMMENT ON COLUMN failed_attempts.subject IS 'The account or key; all zeros for a source';
COMMENT ON COLUMN failed_attempts.source IS 'An IPv4 address or an IPv6 /64; empty for account and key';
COMMENT ON COLUMN failed_attempts.what IS 'What tells one misuse from another; empty for source and guess';
COMMENT ON COLUMN failed_attempts.since IS 'The lock or clearing that they came after';
COMMENT ON COLUMN failed_attempts.slot_at IS 'Where the slot of the window begins that they are counted in';
COMMENT ON COLUMN failed_attempts.count IS 'How many, over all nodes';
COMMENT ON COLUMN failed_attempts.updated_at IS 'When it last grew; nodes read what is recent';

CREATE TABLE lockouts (
    id         uuid             PRIMARY KEY,
    kind       text COLLATE "C" NOT NULL CHECK (kind IN ('source', 'guess', 'account', 'key')),
    subject    uuid             NOT NULL,
    source     text COLLATE "C" NOT NULL,
    at         timestamptz      NOT NULL,
    until      timestamptz      NOT NULL,
    strikes    smallint         NOT NULL CHECK (strikes BETWEEN 0 AND 255),
    cleared_at timestamptz,
    updated_at timestamptz      NOT NULL,
    UNIQUE (kind, subject, source)
);
CREATE INDEX lockouts_until ON lockouts (until);
CREATE INDEX lockouts_updated_at ON lockouts (updated_at);
COMMENT ON TABLE lockouts IS 'Automatic blocks and locks; those that have ended tell how long the next one lasts';
COMMENT ON COLUMN lockouts.id IS 'By which it is lifted';
COMMENT ON COLUMN lockouts.kind IS 'source: strangers from there; guess: an account from there; account, key: everywhere';
COMMENT ON COLUMN lockouts.subject IS 'The account or key; all zeros for a source';
COMMENT ON COLUMN lockouts.source IS 'An IPv4 address or an IPv6 /64; empty for account and key';
COMMENT ON COLUMN lockouts.at IS 'When it began';
COMMENT ON COLUMN lockouts.until IS 'When it ends';
COMMENT ON COLUMN lockouts.strikes IS 'How many there have been without a quiet time between them';
COMMENT ON COLUMN lockouts.cleared_at IS 'When it was lifted, and what was counted forgotten; null for one that was not';
COMMENT ON COLUMN lockouts.updated_at IS 'When it last changed; nodes read what is recent';

CREATE TABLE known_sources (
    user_id    uuid             NOT NULL,
    source     text COLLATE "C" NOT NULL,
    last_seen  timestamptz      NOT NULL,
    updated_at timestamptz      NOT NULL,
    PRIMARY KEY (user_id, source)
);
CREATE INDEX known_sources_updated_at ON known_sources (updated_at);
COMMENT ON TABLE known_sources IS 'Where accounts authenticated well in the last day: guessing there does not lock them';
COMMENT ON COLUMN known_sources.user_id IS 'The account';
COMMENT ON COLUMN known_sources.source IS 'An IPv4 address or an IPv6 /64';
COMMENT ON COLUMN known_sources.last_seen IS 'When, to some ten minutes';
COMMENT ON COLUMN known_sources.updated_at IS 'When it was noted; nodes read what is recent';

CREATE TABLE security_events (
    seq         bigint           PRIMARY KEY,
    id          uuid             NOT NULL UNIQUE,
    fingerprint text COLLATE "C" NOT NULL UNIQUE,
    at          timestamptz      NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    node        text             NOT NULL,
    user_id     uuid,
    key_id      uuid,
    source      text COLLATE "C",
    evidence    jsonb            NOT NULL
);
CREATE INDEX security_events_at ON security_events (at);
CREATE INDEX security_events_kind ON security_events (kind, seq);
CREATE INDEX security_events_user ON security_events (user_id, seq);
COMMENT ON TABLE security_events IS 'What an operator should know';
COMMENT ON COLUMN security_events.seq IS 'One more than the row before';
COMMENT ON COLUMN security_events.id IS 'UUID v7; webhooks carry it';
COMMENT ON COLUMN security_events.fingerprint IS 'The same for the same thing noticed twice, which is then kept once';
COMMENT ON COLUMN security_events.at IS 'When it was noticed';
COMMENT ON COLUMN security_events.kind IS 'brute_force, credential_stuffing, …';
COMMENT ON COLUMN security_events.node IS 'The node that noticed it';
COMMENT ON COLUMN security_events.user_id IS 'The account it is about';
COMMENT ON COLUMN security_events.key_id IS 'The key it is about';
COMMENT ON COLUMN security_events.source IS 'An IPv4 address or an IPv6 /64';
COMMENT ON COLUMN security_events.evidence IS 'Numbers and times that it was noticed by; never a secret';
