-- The data model. Times are UTC seconds; digests are lower-case hex unless they are BLOBs; "" never stands for "unknown": NULL does.

-- A line of devices with its own line of releases.
CREATE TABLE product (
    name TEXT NOT NULL PRIMARY KEY,                 -- [A-Za-z0-9._:-]{1,64}
    description TEXT NOT NULL,             -- for people
    policy TEXT NOT NULL CHECK (policy IN ('rollout', 'latest')), -- what it offers by itself
    created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL              -- rises with every update: the ETag
) STRICT, WITHOUT ROWID;

-- A device. What changes with every poll is in device_seen.
CREATE TABLE device (
    id TEXT NOT NULL PRIMARY KEY,                   -- from the certificate's urn:pawl:device:<id>
    state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'revoked', 'retired')),
    product TEXT REFERENCES product (name),
    hardware TEXT,                         -- what images are built for, compared exactly
    pin_current BLOB CHECK (length(pin_current) = 32), -- SHA-256 of its public key (SubjectPublicKeyInfo); NULL until the first certificate is seen
    pin_next BLOB CHECK (length(pin_next) = 32),       -- the key that a renewal brought
    pin_origin TEXT NOT NULL CHECK (pin_origin IN ('requested', 'certificate', 'factory', 'claim', 'operator')), -- who vouches for pin_current, if any
    floor_sequence INTEGER NOT NULL,       -- highest sequence ever confirmed; only rises (trigger)
    floor_security INTEGER NOT NULL,       -- highest security_version ever confirmed; only rises (trigger)
    floor_sha256 TEXT,                     -- image that set floor_sequence: the same bytes may be installed again
    attributes TEXT NOT NULL,              -- a JSON object
    mismatch TEXT,                         -- product and hardware that it claimed otherwise, last time it was told in an event
    created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL              -- rises with every change but last-seen: the ETag
) STRICT, WITHOUT ROWID;

CREATE INDEX device_by_product ON device (product, id);
CREATE INDEX device_by_state ON device (state, id);
CREATE INDEX device_by_hardware ON device (hardware, id);
CREATE UNIQUE INDEX device_by_pin ON device (pin_current) WHERE pin_current IS NOT NULL; -- a key belongs to one device
CREATE UNIQUE INDEX device_by_next_pin ON device (pin_next) WHERE pin_next IS NOT NULL;

CREATE TRIGGER device_floor_rises BEFORE UPDATE OF floor_sequence, floor_security ON device
WHEN new.floor_sequence < old.floor_sequence OR new.floor_security < old.floor_security
BEGIN
    SELECT RAISE(ABORT, 'a floor never falls');
END;

-- The narrow table that the coalesced last-seen values are flushed to; one row a device.
CREATE TABLE device_seen (
    device TEXT NOT NULL PRIMARY KEY REFERENCES device (id),
    first_seen INTEGER,                    -- NULL: never
    last_seen INTEGER,                     -- NULL: never; up to one flush interval behind
    installed_version TEXT,                -- what it says it runs
    installed_sequence INTEGER,            -- the same; NULL: it never said
    certificate_expires_at INTEGER,        -- end of the certificate that it showed last; NULL: never seen
    certificate_told INTEGER               -- the end that an event has told of; NULL: none
) STRICT, WITHOUT ROWID;

CREATE INDEX device_seen_by_certificate ON device_seen (certificate_expires_at, device);

CREATE INDEX device_seen_by_version ON device_seen (installed_version, device);

CREATE TABLE device_tag (
    tag TEXT NOT NULL,
    device TEXT NOT NULL REFERENCES device (id),
    PRIMARY KEY (tag, device)
) STRICT, WITHOUT ROWID;

CREATE INDEX device_tag_by_device ON device_tag (device, tag);

-- An immutable file images/<sha256>, which is there before the row.
CREATE TABLE image (
    sha256 TEXT NOT NULL PRIMARY KEY,
    sha1 TEXT NOT NULL,                    -- some clients ask for it
    md5 TEXT NOT NULL,                     -- some clients ask for it
    length INTEGER NOT NULL CHECK (length >= 0), -- bytes
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX image_by_age ON image (created_at, sha256);

-- The detached signature of an image file.
CREATE TABLE image_signature (
    sha256 TEXT NOT NULL PRIMARY KEY REFERENCES image (sha256),
    data BLOB NOT NULL                     -- DER
) STRICT;

-- The signed facts of an image in a product's line (custom.pawl in targets metadata).
CREATE TABLE release (
    id INTEGER PRIMARY KEY,                -- from 1 up
    path TEXT NOT NULL UNIQUE,             -- <product>/<version>/<file>, the TUF target path
    product TEXT NOT NULL REFERENCES product (name),
    version TEXT NOT NULL,                 -- for people, never for order
    sequence INTEGER NOT NULL CHECK (sequence > 0), -- all order in a product is by this
    security_version INTEGER NOT NULL CHECK (security_version >= 0),
    requires_sequence INTEGER,             -- the stepping stone; NULL: none
    sha256 TEXT NOT NULL REFERENCES image (sha256),
    length INTEGER NOT NULL CHECK (length >= 0), -- bytes
    encryption TEXT NOT NULL CHECK (encryption IN ('none', 'age')),
    plain_length INTEGER,                  -- of a sealed image
    plain_sha256 TEXT,                     -- of a sealed image
    notes TEXT NOT NULL,
    signed_at INTEGER NOT NULL,            -- as the signer says
    published_at INTEGER NOT NULL,
    withdrawn_at INTEGER,                  -- NULL: published
    UNIQUE (product, version),
    UNIQUE (product, sequence)
) STRICT;

CREATE INDEX release_by_image ON release (sha256);
CREATE INDEX release_by_sequence ON release (sequence, id);

CREATE TABLE release_hardware (
    release INTEGER NOT NULL REFERENCES release (id),
    position INTEGER NOT NULL,             -- order as signed
    hardware TEXT NOT NULL,
    PRIMARY KEY (release, position)
) STRICT, WITHOUT ROWID;

-- One device × one release.
CREATE TABLE deployment (
    id INTEGER PRIMARY KEY,                -- from 1001 up
    device TEXT NOT NULL REFERENCES device (id),
    release INTEGER NOT NULL REFERENCES release (id),
    product TEXT NOT NULL REFERENCES product (name), -- the release's
    state TEXT NOT NULL CHECK (state IN ('assigned', 'offered', 'downloading', 'downloaded', 'installing', 'rebooting', 'cancelling', 'confirmed',
        'failed', 'cancelled', 'superseded', 'timed-out')),
    origin TEXT NOT NULL CHECK (origin IN ('manual', 'rollout', 'latest')), -- an operator, a rollout, or the product's policy
    reason TEXT,                           -- why it was cancelled or superseded
    report_seq INTEGER NOT NULL,           -- highest one taken; 0: none
    report_count INTEGER NOT NULL,
    progress INTEGER,                      -- percent, as last reported
    error_code TEXT,                       -- as reported
    error_text TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    closed_at INTEGER,                     -- NULL: open
    pruned INTEGER NOT NULL CHECK (pruned IN (0, 1)) -- 1: closed for so long that only the last report is left, and of a client's log nothing
) STRICT;

CREATE UNIQUE INDEX deployment_one_open ON deployment (device) WHERE closed_at IS NULL;
CREATE INDEX deployment_by_device ON deployment (device, id);
CREATE INDEX deployment_by_release ON deployment (release, id);
CREATE INDEX deployment_by_product ON deployment (product, id);
CREATE INDEX deployment_by_state ON deployment (state, id);
CREATE INDEX deployment_to_prune ON deployment (closed_at) WHERE pruned = 0 AND closed_at IS NOT NULL;

-- What a device reported; never changed. The last one of a deployment stays for ever.
CREATE TABLE report (
    deployment INTEGER NOT NULL REFERENCES deployment (id),
    report_seq INTEGER NOT NULL,           -- counts per deployment
    event TEXT NOT NULL CHECK (event IN ('downloading', 'downloaded', 'installing', 'rebooting', 'confirmed', 'failed', 'rejected')),
    progress INTEGER,
    error_code TEXT,
    error_text TEXT,
    installed_version TEXT,
    installed_sequence INTEGER,
    result TEXT NOT NULL,                  -- the deployment's state after it
    received_at INTEGER NOT NULL,
    PRIMARY KEY (deployment, report_seq)
) STRICT, WITHOUT ROWID;

-- Failures of a release on a device; held: the policy does not offer it again until an operator assigns it.
CREATE TABLE quarantine (
    device TEXT NOT NULL REFERENCES device (id),
    release INTEGER NOT NULL REFERENCES release (id),
    failures INTEGER NOT NULL,
    held INTEGER NOT NULL CHECK (held IN (0, 1)),
    PRIMARY KEY (device, release)
) STRICT, WITHOUT ROWID;

-- An operator's bearer token.
CREATE TABLE token (
    id TEXT NOT NULL PRIMARY KEY,
    secret_sha256 BLOB NOT NULL CHECK (length(secret_sha256) = 32),
    previous_sha256 BLOB CHECK (length(previous_sha256) = 32), -- of the secret before the last rotation; good until …
    previous_until INTEGER,                -- … then; NULL: there was none
    name TEXT NOT NULL,                    -- for people
    created_by TEXT NOT NULL,              -- an actor, as in the audit
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER,                  -- up to one flush interval behind
    revoked_at INTEGER,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE token_grant (
    token TEXT NOT NULL REFERENCES token (id),
    scope TEXT NOT NULL,
    product TEXT NOT NULL,                 -- "": every product; it need not exist yet
    PRIMARY KEY (token, scope, product)
) STRICT, WITHOUT ROWID;

-- Every change, chained by SHA-256 (db/audit.h says over what).
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,               -- from 1 up, without gaps
    time INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    detail TEXT NOT NULL,                  -- a JSON object, or ""
    request_id TEXT NOT NULL,
    prev_hash BLOB NOT NULL CHECK (length(prev_hash) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX audit_by_time ON audit (time, seq);
CREATE INDEX audit_by_action ON audit (action, seq);
CREATE INDEX audit_by_actor ON audit (actor, seq);
CREATE INDEX audit_by_object ON audit (object, seq);

CREATE TRIGGER audit_is_not_updated BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is not changed');
END;

CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is not changed');
END;

-- What happened, for people and webhooks.
CREATE TABLE event (
    id INTEGER PRIMARY KEY,                -- from 1 up
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,                    -- kebab-case
    device TEXT,
    product TEXT,                          -- the device's at that time
    detail TEXT NOT NULL                   -- a JSON object, or ""
) STRICT;

CREATE INDEX event_by_device ON event (device, id);
CREATE INDEX event_by_kind ON event (kind, id);
CREATE INDEX event_by_product ON event (product, id) WHERE product IS NOT NULL;
CREATE INDEX event_by_product_and_kind ON event (product, kind, id) WHERE product IS NOT NULL;

-- TUF metadata files, byte for byte as received.
CREATE TABLE metadata (
    role TEXT NOT NULL,                    -- root, targets, snapshot, timestamp, or a delegated role's name
    version INTEGER NOT NULL CHECK (version > 0),
    data BLOB NOT NULL,
    sha256 TEXT NOT NULL,                  -- of data
    current INTEGER NOT NULL CHECK (current IN (0, 1)),
    stored_at INTEGER NOT NULL,
    PRIMARY KEY (role, version)
) STRICT;

CREATE UNIQUE INDEX metadata_one_current ON metadata (role) WHERE current = 1;

-- Replies kept for Idempotency-Key, 24 hours.
CREATE TABLE idempotency (
    actor TEXT NOT NULL,
    key TEXT NOT NULL,
    request_sha256 BLOB NOT NULL CHECK (length(request_sha256) = 32), -- of method, path and body
    status INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    location TEXT NOT NULL,                -- "": none
    etag TEXT NOT NULL,                    -- "": none
    body BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT;

CREATE INDEX idempotency_by_age ON idempotency (created_at);
