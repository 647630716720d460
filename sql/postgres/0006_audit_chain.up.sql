-- Chains the audit log: each row's MAC covers the row and the MAC before it, under a key that is
-- not in the database.
--
-- `json` keeps the text as it was written, which is what the MAC covers; `jsonb` would rewrite it.

ALTER TABLE audit_log
    ALTER COLUMN before TYPE json USING before::json,
    ALTER COLUMN after TYPE json USING after::json,
    DROP CONSTRAINT audit_log_subject_kind_check,
    ADD CONSTRAINT audit_log_subject_kind_check CHECK (subject_kind ~ '^[a-z_]{1,32}$'),
    ADD COLUMN mac bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex')
        CHECK (octet_length(mac) = 32);
ALTER TABLE audit_log ALTER COLUMN mac DROP DEFAULT;
COMMENT ON COLUMN audit_log.mac IS 'HMAC of the row and the MAC before it; zeros in rows older than the chain';

ALTER TABLE instance
    ADD COLUMN audit_chain_after bigint NOT NULL DEFAULT 0 CHECK (audit_chain_after >= 0);
UPDATE instance SET audit_chain_after = (SELECT coalesce(max(seq), 0) FROM audit_log);
COMMENT ON COLUMN instance.audit_chain_after IS 'Rows of the audit log up to this one are older than its chain';
