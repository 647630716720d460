-- Raw usage in partitions of a day, which are dropped whole, and what is counted of it by the minute.

ALTER TABLE api_usage RENAME TO api_usage_before;
ALTER INDEX api_usage_pkey RENAME TO api_usage_before_pkey;
ALTER INDEX api_usage_created_at RENAME TO api_usage_before_created_at;

CREATE SEQUENCE api_usage_ids;
CREATE TABLE api_usage (
    id               bigint      NOT NULL DEFAULT nextval('api_usage_ids'),
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
    client_ip        inet        NOT NULL,
    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
ALTER SEQUENCE api_usage_ids OWNED BY api_usage.id;
COMMENT ON TABLE api_usage IS 'One row per request, allowed or refused; append only, a partition for each day (UTC)';
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

-- A partition for each day that has rows already. A statement here ends at a line's end, so the
-- lines of a block end otherwise.
DO $$ DECLARE day date; BEGIN
    FOR day IN SELECT DISTINCT (created_at AT TIME ZONE 'UTC')::date FROM api_usage_before LOOP
        EXECUTE format('CREATE TABLE api_usage_%s PARTITION OF api_usage FOR VALUES FROM (%L) TO (%L)',
            to_char(day, 'YYYY_MM_DD'), day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00'); --
    END LOOP; --
END $$;
INSERT INTO api_usage SELECT * FROM api_usage_before;
SELECT setval('api_usage_ids', coalesce((SELECT max(id) FROM api_usage), 0) + 1, false);
DROP TABLE api_usage_before;

CREATE INDEX usage_batches_at ON usage_batches USING brin (at);

CREATE TABLE usage_rollups (
    minute           timestamptz      NOT NULL,
    user_id          uuid             NOT NULL,
    api_key_id       uuid             NOT NULL,
    route            text COLLATE "C" NOT NULL,
    outcome          text COLLATE "C" NOT NULL,
    latency          smallint         NOT NULL,
    requests         bigint           NOT NULL,
    errors           bigint           NOT NULL,
    gateway_time_us  bigint           NOT NULL,
    upstream_time_us bigint           NOT NULL,
    request_bytes    bigint           NOT NULL,
    response_bytes   bigint           NOT NULL,
    PRIMARY KEY (minute, user_id, api_key_id, route, outcome, latency)
) WITH (fillfactor = 80);
CREATE INDEX usage_rollups_user ON usage_rollups (user_id, minute);
COMMENT ON TABLE usage_rollups IS 'What analytics are answered from: counts by the minute, made in the transaction of the records';
COMMENT ON COLUMN usage_rollups.minute IS 'The minute in which the requests arrived';
COMMENT ON COLUMN usage_rollups.user_id IS 'All zeros for requests without a key that we know';
COMMENT ON COLUMN usage_rollups.api_key_id IS 'All zeros for requests without a key that we know';
COMMENT ON COLUMN usage_rollups.route IS 'The name of the route that matched; empty when none did';
COMMENT ON COLUMN usage_rollups.outcome IS 'allow, or the code of the denial or failure';
COMMENT ON COLUMN usage_rollups.latency IS 'The bucket of the histogram: 0 is below 16 µs, then four for each doubling';
COMMENT ON COLUMN usage_rollups.requests IS 'How many';
COMMENT ON COLUMN usage_rollups.errors IS 'How many of them were answered with a status of 500 or more';
COMMENT ON COLUMN usage_rollups.gateway_time_us IS 'What Gatepost itself took for all of them';
COMMENT ON COLUMN usage_rollups.upstream_time_us IS 'What the upstream took for all of them';
COMMENT ON COLUMN usage_rollups.request_bytes IS 'The bodies'' length, all together';
COMMENT ON COLUMN usage_rollups.response_bytes IS 'The bodies'' length, all together';
