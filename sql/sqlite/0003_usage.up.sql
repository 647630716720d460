CREATE INDEX usage_batches_at ON usage_batches (at);

-- What analytics are answered from: counts by the minute, made in the transaction of the records.
CREATE TABLE usage_rollups (
    -- The minute in which the requests arrived.
    minute           INTEGER NOT NULL,
    -- All zeros, as is the key, for requests without a key that we know.
    user_id          TEXT    NOT NULL,
    api_key_id       TEXT    NOT NULL,
    -- The name of the route that matched; empty when none did.
    route            TEXT    NOT NULL,
    -- `allow`, or the code of the denial or failure.
    outcome          TEXT    NOT NULL,
    -- The bucket of the histogram: 0 is below 16 µs, then four for each doubling.
    latency          INTEGER NOT NULL,
    requests         INTEGER NOT NULL,
    -- How many of them were answered with a status of 500 or more.
    errors           INTEGER NOT NULL,
    -- What Gatepost itself, and the upstream, took for all of them.
    gateway_time_us  INTEGER NOT NULL,
    upstream_time_us INTEGER NOT NULL,
    -- The bodies' length, all together.
    request_bytes    INTEGER NOT NULL,
    response_bytes   INTEGER NOT NULL,
    PRIMARY KEY (minute, user_id, api_key_id, route, outcome, latency)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_rollups_user ON usage_rollups (user_id, minute);
