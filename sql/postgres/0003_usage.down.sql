-- The raw records stay; what was counted of them by the minute is lost.
DROP TABLE usage_rollups;
DROP INDEX usage_batches_at;

ALTER TABLE api_usage RENAME TO api_usage_by_day;
ALTER INDEX api_usage_pkey RENAME TO api_usage_by_day_pkey;
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
INSERT INTO api_usage OVERRIDING SYSTEM VALUE SELECT * FROM api_usage_by_day;
SELECT setval('api_usage_id_seq', coalesce((SELECT max(id) FROM api_usage), 0) + 1, false);
DROP TABLE api_usage_by_day;
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
