-- The nodes that serve from this store, so that a change can be answered when all have applied it.
CREATE TABLE nodes (
    name    text        PRIMARY KEY CHECK (char_length(name) BETWEEN 1 AND 300),
    applied bigint      NOT NULL CHECK (applied >= 0),
    seen_at timestamptz NOT NULL
);
COMMENT ON TABLE nodes IS 'The nodes that serve from this store';
COMMENT ON COLUMN nodes.name IS 'The host and the process';
COMMENT ON COLUMN nodes.applied IS 'The last change of the feed that is effective there';
COMMENT ON COLUMN nodes.seen_at IS 'When it last said so, by the clock of this server';
