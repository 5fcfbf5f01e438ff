-- name: release_get
SELECT r.id, r.path, r.product, r.version, r.sequence, r.security_version, r.requires_sequence, r.length, r.sha256, i.sha1, i.md5, r.encryption,
    r.plain_length, r.plain_sha256, r.notes, r.signed_at, r.published_at, r.withdrawn_at,
    (SELECT COUNT(*) FROM image_signature s WHERE s.sha256 = r.sha256) AS has_signature
FROM release r JOIN image i ON i.sha256 = r.sha256
WHERE r.id = $1;

-- name: release_get_path
SELECT r.id, r.path, r.product, r.version, r.sequence, r.security_version, r.requires_sequence, r.length, r.sha256, i.sha1, i.md5, r.encryption,
    r.plain_length, r.plain_sha256, r.notes, r.signed_at, r.published_at, r.withdrawn_at,
    (SELECT COUNT(*) FROM image_signature s WHERE s.sha256 = r.sha256) AS has_signature
FROM release r JOIN image i ON i.sha256 = r.sha256
WHERE r.path = $1;

-- name: release_get_version
SELECT r.id, r.path, r.product, r.version, r.sequence, r.security_version, r.requires_sequence, r.length, r.sha256, i.sha1, i.md5, r.encryption,
    r.plain_length, r.plain_sha256, r.notes, r.signed_at, r.published_at, r.withdrawn_at,
    (SELECT COUNT(*) FROM image_signature s WHERE s.sha256 = r.sha256) AS has_signature
FROM release r JOIN image i ON i.sha256 = r.sha256
WHERE r.product = $1 AND r.version = $2;

-- name: release_list
-- sort: -published_at = r.id
-- sort: product = r.product, r.sequence
-- sort: sequence = r.sequence, r.id
SELECT r.id, r.path, r.product, r.version, r.sequence, r.security_version, r.requires_sequence, r.length, r.sha256, i.sha1, i.md5, r.encryption,
    r.plain_length, r.plain_sha256, r.notes, r.signed_at, r.published_at, r.withdrawn_at,
    (SELECT COUNT(*) FROM image_signature s WHERE s.sha256 = r.sha256) AS has_signature
FROM release r JOIN image i ON i.sha256 = r.sha256
WHERE {after}
ORDER BY {order} LIMIT $2;

-- name: release_list_product
-- The same of one product: there the order of sequences is the order of ids.
-- sort: -published_at = r.sequence
-- sort: product = r.product, r.sequence
-- sort: sequence = r.sequence
SELECT r.id, r.path, r.product, r.version, r.sequence, r.security_version, r.requires_sequence, r.length, r.sha256, i.sha1, i.md5, r.encryption,
    r.plain_length, r.plain_sha256, r.notes, r.signed_at, r.published_at, r.withdrawn_at,
    (SELECT COUNT(*) FROM image_signature s WHERE s.sha256 = r.sha256) AS has_signature
FROM release r JOIN image i ON i.sha256 = r.sha256
WHERE r.product = $4 AND {after}
ORDER BY {order} LIMIT $2;

-- name: release_all
-- For the catalog.
SELECT r.id, r.path, r.product, r.version, r.sequence, r.security_version, r.requires_sequence, r.length, r.sha256, i.sha1, i.md5, r.encryption,
    r.plain_length, r.plain_sha256, r.notes, r.signed_at, r.published_at, r.withdrawn_at,
    (SELECT COUNT(*) FROM image_signature s WHERE s.sha256 = r.sha256) AS has_signature
FROM release r JOIN image i ON i.sha256 = r.sha256
ORDER BY r.product, r.sequence;

-- name: release_highest
-- What the order rule compares with.
SELECT COALESCE(MAX(sequence), 0) AS sequence, COALESCE(MAX(security_version), 0) AS security_version FROM release WHERE product = $1;

-- name: release_insert
INSERT INTO release (id, path, product, version, sequence, security_version, requires_sequence, sha256, length, encryption, plain_length, plain_sha256,
    notes, signed_at, published_at)
VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM release), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT DO NOTHING RETURNING id;

-- name: release_withdraw
UPDATE release SET withdrawn_at = $2 WHERE id = $1 AND withdrawn_at IS NULL;

-- name: release_hardware
SELECT hardware FROM release_hardware WHERE release = $1 ORDER BY position;

-- name: release_hardware_insert
INSERT INTO release_hardware (release, position, hardware) VALUES ($1, $2, $3);
