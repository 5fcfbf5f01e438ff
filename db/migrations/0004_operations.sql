-- Webhooks and audit checkpoints.

-- The audit's head, signed now and then (trust/checkpoint.h).
CREATE TABLE audit_checkpoint (
    seq INTEGER PRIMARY KEY REFERENCES audit (seq), -- the last row that it covers
    hash BLOB NOT NULL CHECK (length(hash) = 32),   -- of that row
    time INTEGER NOT NULL,                 -- of signing
    key_id TEXT NOT NULL,                  -- of the audit key
    signature BLOB NOT NULL
) STRICT;

CREATE TRIGGER audit_checkpoint_is_not_updated BEFORE UPDATE ON audit_checkpoint
BEGIN
    SELECT RAISE(ABORT, 'checkpoints are not changed');
END;

CREATE TRIGGER audit_checkpoint_is_not_deleted BEFORE DELETE ON audit_checkpoint
BEGIN
    SELECT RAISE(ABORT, 'checkpoints are not changed');
END;
