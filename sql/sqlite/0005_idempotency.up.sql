-- Changes made under an Idempotency-Key, each in the transaction of its change; forgotten after
-- a day.
CREATE TABLE idempotency_receipts (
    -- The caller's key: nobody meets the names or answers of others.
    api_key_id   TEXT    NOT NULL CHECK (length(api_key_id) = 36),
    -- The Idempotency-Key.
    name         TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    -- SHA-256 of method, path and body: another request under the same name is a mistake.
    request_hash BLOB    NOT NULL CHECK (length(request_hash) = 32),
    -- What was made or changed: an id or a name.
    subject_id   TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    -- What was answered, to be answered again; null where the answer showed a key, or was lost.
    answer       TEXT    CHECK (octet_length(answer) <= 65536),
    PRIMARY KEY (api_key_id, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_receipts_at ON idempotency_receipts (at);
