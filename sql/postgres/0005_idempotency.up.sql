-- Requests that were made once and may be sent again.

CREATE TABLE idempotency_receipts (
    api_key_id   uuid        NOT NULL,
    name         text        NOT NULL
        CHECK (length(name) BETWEEN 1 AND 255),
    request_hash bytea       NOT NULL
        CHECK (octet_length(request_hash) = 32),
    subject_id   text        NOT NULL,
    at           timestamptz NOT NULL,
    answer       text
        CHECK (octet_length(answer) <= 65536),
    PRIMARY KEY (api_key_id, name)
);
CREATE INDEX idempotency_receipts_at ON idempotency_receipts (at);
COMMENT ON TABLE idempotency_receipts IS 'Changes made under an Idempotency-Key, each in the transaction of its change; forgotten after a day';
COMMENT ON COLUMN idempotency_receipts.api_key_id IS 'The caller''s key: nobody meets the names or answers of others';
COMMENT ON COLUMN idempotency_receipts.name IS 'The Idempotency-Key';
COMMENT ON COLUMN idempotency_receipts.request_hash IS 'SHA-256 of method, path and body: another request under the same name is a mistake';
COMMENT ON COLUMN idempotency_receipts.subject_id IS 'What was made or changed: an id or a name';
COMMENT ON COLUMN idempotency_receipts.at IS 'When';
COMMENT ON COLUMN idempotency_receipts.answer IS 'What was answered, to be answered again; null where the answer showed a key, or was lost';
