-- Chains the audit log: each row's MAC covers the row and the MAC before it, under a key that is
-- not in the database.
--
-- A column's constraint cannot be changed in place, so the table is made anew.

CREATE TABLE audit_log_chained (
    seq           INTEGER PRIMARY KEY,
    at            INTEGER NOT NULL,
    -- The name of the change, e.g. `revoke_key`.
    action        TEXT    NOT NULL,
    -- Null, as is the key: the command line, straight on the store.
    actor_user_id TEXT,
    actor_key_id  TEXT,
    actor_ip      TEXT,
    request_id    TEXT,
    subject_kind  TEXT    NOT NULL
        CHECK (length(subject_kind) BETWEEN 1 AND 32 AND subject_kind NOT GLOB '*[^a-z_]*'),
    -- An id or a name.
    subject_id    TEXT    NOT NULL,
    -- The subject as it was, in JSON; null when it did not exist.
    before        TEXT    CHECK (json_valid(before)),
    -- The subject as it became; null when it is no more.
    after         TEXT    CHECK (json_valid(after)),
    -- HMAC of the row and the MAC before it; zeros in rows older than the chain.
    mac           BLOB    NOT NULL CHECK (length(mac) = 32)
) STRICT;
INSERT INTO audit_log_chained
SELECT seq, at, action, actor_user_id, actor_key_id, actor_ip, request_id, subject_kind,
       subject_id, before, after, zeroblob(32)
  FROM audit_log;
DROP TABLE audit_log;
ALTER TABLE audit_log_chained RENAME TO audit_log;
CREATE INDEX audit_log_subject ON audit_log (subject_kind, subject_id, seq);

-- Rows of the audit log up to this one are older than its chain.
ALTER TABLE instance
    ADD COLUMN audit_chain_after INTEGER NOT NULL DEFAULT 0 CHECK (audit_chain_after >= 0);
UPDATE instance SET audit_chain_after = (SELECT coalesce(max(seq), 0) FROM audit_log);
