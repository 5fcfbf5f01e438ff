-- Existing clients (DDI). A device or deployment without a row here has never spoken DDI.

-- What DDI needs to know of a device.
CREATE TABLE ddi_device (
    device TEXT NOT NULL PRIMARY KEY REFERENCES device (id),
    client INTEGER NOT NULL CHECK (client IN (0, 1)),         -- 1: its last poll was one of DDI
    configured INTEGER NOT NULL CHECK (configured IN (0, 1)), -- 0: its attributes are wanted
    configured_at INTEGER,                                    -- when it told them last; NULL: never
    attributes TEXT NOT NULL,                                 -- what it says of itself: a JSON object, text to text
    token_sha256 BLOB CHECK (length(token_sha256) = 32)       -- of its TargetToken; NULL: it has none
) STRICT, WITHOUT ROWID;

-- A deployment that an existing client knows: an action.
CREATE TABLE ddi_action (
    deployment INTEGER PRIMARY KEY REFERENCES deployment (id),
    fetched_at INTEGER,          -- when a DDI client read it: a cancel must ask it; NULL: never
    result TEXT CHECK (result IN ('success', 'failure', 'cancelled')),           -- the client's closing answer; NULL: none yet
    cancel_result TEXT CHECK (cancel_result IN ('cancelled', 'cancel-refused')), -- its answer to the last cancel; NULL: none yet
    log_seq INTEGER NOT NULL,    -- number of the newest log entry
    log_entries INTEGER NOT NULL,
    log_bytes INTEGER NOT NULL
) STRICT;

-- An operator's assignment to a device whose open deployment was fetched and not answered: made when that one closes. Never without an open deployment.
CREATE TABLE deployment_waiting (
    device TEXT NOT NULL PRIMARY KEY REFERENCES device (id),
    release INTEGER NOT NULL REFERENCES release (id),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the client said on the way; bounded, the oldest progress goes first.
CREATE TABLE ddi_log (
    deployment INTEGER NOT NULL REFERENCES ddi_action (deployment),
    seq INTEGER NOT NULL,        -- from 1 up
    time INTEGER NOT NULL,
    execution TEXT NOT NULL,
    finished TEXT NOT NULL,
    cancel INTEGER NOT NULL CHECK (cancel IN (0, 1)), -- 1: it answers a cancel
    closing INTEGER NOT NULL CHECK (closing IN (0, 1)), -- 1: a result: kept
    progress_count INTEGER,      -- of progress_of; NULL: not said
    progress_of INTEGER,
    code INTEGER,                -- NULL: not said
    details TEXT NOT NULL,       -- a JSON array of texts
    bytes INTEGER NOT NULL,      -- of details
    PRIMARY KEY (deployment, seq)
) STRICT, WITHOUT ROWID;
