-- Takes the chain away, and the rows about what the older schema does not know.
ALTER TABLE instance DROP COLUMN audit_chain_after;
DELETE FROM audit_log WHERE subject_kind NOT IN ('key', 'user', 'role', 'permission');
ALTER TABLE audit_log
    DROP COLUMN mac,
    DROP CONSTRAINT audit_log_subject_kind_check,
    ADD CONSTRAINT audit_log_subject_kind_check
        CHECK (subject_kind IN ('key', 'user', 'role', 'permission')),
    ALTER COLUMN before TYPE jsonb USING before::jsonb,
    ALTER COLUMN after TYPE jsonb USING after::jsonb;
