CREATE TABLE quota_usage (
    holder_kind text        NOT NULL CHECK (holder_kind IN ('user', 'key')),
    holder_id   uuid        NOT NULL,
    period      text        NOT NULL CHECK (period IN ('day', 'week', 'month')),
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL CHECK (ends_at > starts_at),
    used        bigint      NOT NULL CHECK (used >= 0),
    last_delta  bigint      NOT NULL,
    PRIMARY KEY (holder_id, holder_kind, period, starts_at)
);
CREATE INDEX quota_usage_ends_at ON quota_usage (ends_at);
COMMENT ON TABLE quota_usage IS 'What nodes were given of quotas, in each calendar period; a node uses what it was given without asking again';
COMMENT ON COLUMN quota_usage.holder_kind IS 'user: of a tier, all their keys together; key: a quota of its own';
COMMENT ON COLUMN quota_usage.holder_id IS 'The id of the user or key; the row may outlive them until its period is over';
COMMENT ON COLUMN quota_usage.period IS 'The length of the calendar period, UTC; weeks begin on Monday';
COMMENT ON COLUMN quota_usage.starts_at IS 'The first instant of the period';
COMMENT ON COLUMN quota_usage.ends_at IS 'The first instant after it';
COMMENT ON COLUMN quota_usage.used IS 'Requests given out so far, less what was given back unused';
COMMENT ON COLUMN quota_usage.last_delta IS 'What the newest statement added to used: the size of a lease, or less than nothing for what was given back';
