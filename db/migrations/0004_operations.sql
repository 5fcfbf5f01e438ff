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

CREATE INDEX event_by_time ON event (time, id);

-- Where events are sent to.
CREATE TABLE webhook (
    id TEXT NOT NULL PRIMARY KEY,
    url TEXT NOT NULL,
    description TEXT NOT NULL,             -- for people
    product TEXT,                          -- only events of this one; NULL: all, also those of none
    state TEXT NOT NULL CHECK (state IN ('enabled', 'disabled')),
    secret BLOB NOT NULL CHECK (length(secret) = 32), -- as it is: every delivery is signed with it
    old_secret BLOB CHECK (length(old_secret) = 32), -- the one before …
    old_until INTEGER,                     -- … signs as well until then
    told_at INTEGER,                       -- the last event that a delivery is dead
    created_by TEXT NOT NULL,              -- an actor, as in the audit
    created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Only events of these kinds; a webhook without any row gets all.
CREATE TABLE webhook_kind (
    webhook TEXT NOT NULL REFERENCES webhook (id),
    kind TEXT NOT NULL,
    PRIMARY KEY (webhook, kind)
) STRICT, WITHOUT ROWID;

-- The queue and its log: a row for each event that a webhook gets, made in the event's own transaction.
CREATE TABLE webhook_delivery (
    webhook TEXT NOT NULL REFERENCES webhook (id),
    event INTEGER NOT NULL,                -- kept as long as its delivery waits
    state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts INTEGER NOT NULL,
    next_at INTEGER NOT NULL,              -- not tried before then
    created_at INTEGER NOT NULL,
    last_at INTEGER,                       -- of the last attempt
    status INTEGER,                        -- what the receiver answered to it; NULL: nothing
    error TEXT NOT NULL,                   -- why it failed, or ""
    PRIMARY KEY (webhook, event)
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_delivery_by_turn ON webhook_delivery (webhook, state, next_at, event);
CREATE INDEX webhook_delivery_by_event ON webhook_delivery (event, state);
CREATE INDEX webhook_delivery_by_age ON webhook_delivery (state, created_at);
