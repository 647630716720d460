-- The nodes that serve from this store, so that a change can be answered when all have applied it.
CREATE TABLE nodes (
    -- The host and the process.
    name    TEXT    NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 300),
    -- The last change of the feed that is effective there.
    applied INTEGER NOT NULL CHECK (applied >= 0),
    -- When it last said so.
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
