-- What nodes were given of quotas, in each calendar period; a node uses what it was given without
-- asking again.
CREATE TABLE quota_usage (
    -- `user`: of a tier, all their keys together; `key`: a quota of its own.
    holder_kind TEXT    NOT NULL CHECK (holder_kind IN ('user', 'key')),
    -- The id of the user or key; the row may outlive them until its period is over.
    holder_id   TEXT    NOT NULL,
    -- The length of the calendar period, UTC; weeks begin on Monday.
    period      TEXT    NOT NULL CHECK (period IN ('day', 'week', 'month')),
    -- The first instant of the period, and the first after it.
    starts_at   INTEGER NOT NULL,
    ends_at     INTEGER NOT NULL CHECK (ends_at > starts_at),
    -- Requests given out so far, less what was given back unused.
    used        INTEGER NOT NULL CHECK (used >= 0),
    -- What the newest statement added to `used`: the size of a lease, or less than nothing for
    -- what was given back.
    last_delta  INTEGER NOT NULL,
    PRIMARY KEY (holder_id, holder_kind, period, starts_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX quota_usage_ends_at ON quota_usage (ends_at);
