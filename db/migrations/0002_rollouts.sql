-- Rollouts. Columns that end in _clock are times of a rollout's own clock, which stands still while it is paused: UTC seconds less held_s.

-- The last number that a rollout was given; that of a deleted draft is not given again, for the audit speaks of it.
CREATE TABLE rollout_number (
    last INTEGER NOT NULL
) STRICT;

INSERT INTO rollout_number (last) VALUES (0);

CREATE TABLE rollout (
    id INTEGER PRIMARY KEY,                -- from 1 up
    product TEXT NOT NULL REFERENCES product (name),
    release INTEGER NOT NULL REFERENCES release (id),
    name TEXT NOT NULL,                    -- for people
    filter TEXT NOT NULL,                  -- over the product's devices; "": all of them
    salt INTEGER NOT NULL,                 -- makes the order of its devices its own
    mode TEXT NOT NULL CHECK (mode IN ('forced', 'optional')),
    continuous INTEGER NOT NULL CHECK (continuous IN (0, 1)), -- devices join while it runs
    start_at INTEGER,                      -- not before; NULL: when it is started
    max_in_flight INTEGER,                 -- NULL: no limit
    state TEXT NOT NULL CHECK (state IN ('draft', 'scheduled', 'running', 'paused', 'completed', 'stopped')),
    halt TEXT NOT NULL CHECK (halt IN ('', 'operator', 'error-threshold', 'success-not-reached', 'release-withdrawn')), -- why it is paused
    phase INTEGER NOT NULL CHECK (phase BETWEEN 0 AND 20), -- the newest open one; 0: none
    matched INTEGER,                       -- devices chosen when it was last tried to begin
    awaits_approval INTEGER NOT NULL CHECK (awaits_approval IN (0, 1)), -- too many devices to begin, or to take newcomers, without
    work TEXT CHECK (work IN ('cancel', 'retry')), -- what is being done to its members in slices; NULL: nothing
    created_by TEXT NOT NULL,              -- an actor, as in the audit
    changed_by TEXT NOT NULL,              -- who wrote the plan last
    approved_by TEXT,
    created_at INTEGER NOT NULL,
    approved_at INTEGER,
    started_at INTEGER,                    -- when phase 1 opened
    paused_at INTEGER,                     -- NULL: it is not paused
    held_s INTEGER NOT NULL,               -- seconds that it was paused before
    ended_at INTEGER,                      -- completed or stopped
    revision INTEGER NOT NULL,             -- the ETag: rises with every change of plan, state or phase
    ids TEXT                               -- instead of a filter: device ids, one a line, sorted; long, so that it comes last
) STRICT;

CREATE INDEX rollout_by_product ON rollout (product, id);
CREATE INDEX rollout_by_state ON rollout (state, id);
CREATE INDEX rollout_by_name ON rollout (name, id);
CREATE INDEX rollout_by_product_and_name ON rollout (product, name, id);

-- A phase, how far it is, and how many of its members are in which state (kept in the transaction of each change).
CREATE TABLE rollout_phase (
    rollout INTEGER NOT NULL REFERENCES rollout (id),
    phase INTEGER NOT NULL CHECK (phase BETWEEN 1 AND 20),
    size_unit INTEGER NOT NULL CHECK (size_unit IN (1, 2, 3)), -- enum fleet_phase_unit: percent, devices, the rest
    size_amount INTEGER NOT NULL,
    success_percent INTEGER NOT NULL,      -- confirmed, to advance
    error_unit INTEGER NOT NULL CHECK (error_unit IN (1, 2)), -- the same: percent, devices
    error_amount INTEGER NOT NULL,         -- failures that pause the rollout
    soak_s INTEGER NOT NULL,
    deadline_s INTEGER NOT NULL,
    opened_clock INTEGER,                  -- NULL: not open
    opened_at INTEGER,
    reached_clock INTEGER,                 -- success reached, or accepted; NULL: not yet
    reached_at INTEGER,
    expired INTEGER NOT NULL CHECK (expired IN (0, 1)), -- the deadline is past and its silent members are timed out
    pardoned INTEGER NOT NULL,             -- failures that an operator accepted
    waiting INTEGER NOT NULL CHECK (waiting >= 0),
    in_flight INTEGER NOT NULL CHECK (in_flight >= 0),
    retrying INTEGER NOT NULL CHECK (retrying >= 0),
    confirmed INTEGER NOT NULL CHECK (confirmed >= 0),
    failed INTEGER NOT NULL CHECK (failed >= 0),
    timed_out INTEGER NOT NULL CHECK (timed_out >= 0),
    cancelled INTEGER NOT NULL CHECK (cancelled >= 0),
    skipped INTEGER NOT NULL CHECK (skipped >= 0),
    PRIMARY KEY (rollout, phase)
) STRICT, WITHOUT ROWID;

-- A maintenance window, by the wall clock of its zone.
CREATE TABLE rollout_window (
    rollout INTEGER NOT NULL REFERENCES rollout (id),
    position INTEGER NOT NULL,             -- from 0 up
    days INTEGER NOT NULL,                 -- bit 0: Monday
    from_minute INTEGER NOT NULL,          -- of the day
    to_minute INTEGER NOT NULL,
    zone TEXT NOT NULL,                    -- an IANA name
    tag TEXT,                              -- for devices with this tag alone; NULL: for those without any such
    PRIMARY KEY (rollout, position)
) STRICT, WITHOUT ROWID;

-- A device that a rollout brings its release to.
CREATE TABLE rollout_member (
    rollout INTEGER NOT NULL REFERENCES rollout (id),
    device TEXT NOT NULL REFERENCES device (id),
    phase INTEGER NOT NULL CHECK (phase BETWEEN 1 AND 20),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'in-flight', 'retrying', 'confirmed', 'failed', 'timed-out', 'cancelled', 'skipped')),
    windows INTEGER NOT NULL CHECK (windows BETWEEN 0 AND 65535), -- bit i: rollout_window.position i is for it
    deployment INTEGER REFERENCES deployment (id), -- its newest one here
    due_clock INTEGER,                     -- a deadline of its own (joined later, or tries again); NULL: its phase's
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (rollout, device)
) STRICT, WITHOUT ROWID;

CREATE INDEX rollout_member_by_state ON rollout_member (rollout, state, phase, device);
CREATE INDEX rollout_member_by_due ON rollout_member (rollout, due_clock) WHERE due_clock IS NOT NULL;

-- Where a deployment comes from.
ALTER TABLE deployment ADD COLUMN rollout INTEGER REFERENCES rollout (id); -- NULL: not from one
ALTER TABLE deployment ADD COLUMN phase INTEGER; -- of that rollout

CREATE INDEX deployment_by_rollout ON deployment (rollout, id) WHERE rollout IS NOT NULL;
