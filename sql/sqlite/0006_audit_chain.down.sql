-- Takes the chain away, and the rows about what the older schema does not know.
ALTER TABLE instance DROP COLUMN audit_chain_after;
CREATE TABLE audit_log_plain (
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
        CHECK (subject_kind IN ('key', 'user', 'role', 'permission')),
    -- An id or a name.
    subject_id    TEXT    NOT NULL,
    -- The subject as it was, in JSON; null when it did not exist.
    before        TEXT    CHECK (json_valid(before)),
    -- The subject as it became; null when it is no more.
    after         TEXT    CHECK (json_valid(after))
) STRICT;
INSERT INTO audit_log_plain
SELECT seq, at, action, actor_user_id, actor_key_id, actor_ip, request_id, subject_kind,
       subject_id, before, after
  FROM audit_log
 WHERE subject_kind IN ('key', 'user', 'role', 'permission');
DROP TABLE audit_log;
ALTER TABLE audit_log_plain RENAME TO audit_log;
CREATE INDEX audit_log_subject ON audit_log (subject_kind, subject_id, seq);
