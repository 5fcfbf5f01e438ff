-- Claims, which let a device enrol, and the certificates that were issued.

-- A one-time claim token: whoever shows it gets a certificate for one key.
CREATE TABLE claim (
    id TEXT NOT NULL PRIMARY KEY,
    secret_sha256 BLOB NOT NULL CHECK (length(secret_sha256) = 32),
    device TEXT,                           -- the one id that may enrol with it; NULL: any new one …
    product TEXT REFERENCES product (name), -- … of this product
    note TEXT NOT NULL,                    -- for people
    created_by TEXT NOT NULL,              -- an actor, as in the audit
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,                    -- NULL: not
    spent_at INTEGER,                      -- NULL: not yet
    spent_key BLOB CHECK (length(spent_key) = 32), -- SHA-256 of the public key that it was spent for
    spent_device TEXT,                     -- the id that it was spent for
    revision INTEGER NOT NULL,             -- rises with every change: the ETag
    CHECK ((device IS NULL) <> (product IS NULL)),
    CHECK ((spent_at IS NULL) = (spent_key IS NULL) AND (spent_at IS NULL) = (spent_device IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX claim_by_device ON claim (device, id) WHERE device IS NOT NULL;
CREATE INDEX claim_by_product ON claim (product, id) WHERE product IS NOT NULL;
CREATE INDEX claim_by_product_and_age ON claim (product, created_at, id) WHERE product IS NOT NULL;
CREATE INDEX claim_by_product_and_expiry ON claim (product, expires_at, id) WHERE product IS NOT NULL;
CREATE INDEX claim_by_age ON claim (created_at, id);
CREATE INDEX claim_by_expiry ON claim (expires_at, id);

-- A certificate that was issued to a device.
CREATE TABLE certificate (
    id INTEGER PRIMARY KEY,                -- from 1 up
    serial TEXT NOT NULL UNIQUE,           -- lower-case hex
    device TEXT NOT NULL REFERENCES device (id),
    spki_sha256 BLOB NOT NULL CHECK (length(spki_sha256) = 32),     -- SHA-256 of its public key: the pin
    issuer_sha256 BLOB NOT NULL CHECK (length(issuer_sha256) = 32), -- SHA-256 of the issuing CA's public key
    way TEXT NOT NULL CHECK (way IN ('claim', 'factory', 'accepted', 'renewal')), -- what entitled the device to it
    data BLOB NOT NULL,                    -- DER
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    revoked_at INTEGER                     -- NULL: not
) STRICT;

CREATE INDEX certificate_by_device ON certificate (device, id);
CREATE INDEX certificate_by_expiry ON certificate (not_after, id);
CREATE INDEX certificate_by_revoked_key ON certificate (spki_sha256) WHERE revoked_at IS NOT NULL;
