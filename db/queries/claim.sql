-- name: claim_get
SELECT id, secret_sha256, device, product, note, created_by, created_at, expires_at, revoked_at, spent_at, spent_key, spent_device, revision
FROM claim WHERE id = $1;

-- The pages of claims. A claim is for a device ($4) or for a product ($5), never for both.

-- name: claim_list
-- sort: id = id
-- sort: created_at = created_at, id
-- sort: expires_at = expires_at, id
SELECT id, secret_sha256, device, product, note, created_by, created_at, expires_at, revoked_at, spent_at, spent_key, spent_device, revision
FROM claim WHERE {after} ORDER BY {order} LIMIT $2;

-- name: claim_list_device
-- sort: id = id
-- sort: created_at = created_at, id
-- sort: expires_at = expires_at, id
SELECT id, secret_sha256, device, product, note, created_by, created_at, expires_at, revoked_at, spent_at, spent_key, spent_device, revision
FROM claim WHERE device = $4 AND {after} AND (CAST($5 AS TEXT) IS NULL OR product = $5) ORDER BY {order} LIMIT $2;

-- name: claim_list_product
-- sort: id = id
-- sort: created_at = created_at, id
-- sort: expires_at = expires_at, id
SELECT id, secret_sha256, device, product, note, created_by, created_at, expires_at, revoked_at, spent_at, spent_key, spent_device, revision
FROM claim WHERE product = $5 AND {after} ORDER BY {order} LIMIT $2;

-- name: claim_insert
INSERT INTO claim (id, secret_sha256, device, product, note, created_by, created_at, expires_at, revision)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1) ON CONFLICT DO NOTHING;

-- name: claim_revoke
UPDATE claim SET revoked_at = $2, revision = revision + 1 WHERE id = $1 AND revoked_at IS NULL;

-- name: claim_spend
UPDATE claim SET spent_at = $2, spent_key = $3, spent_device = $4, revision = revision + 1 WHERE id = $1 AND spent_at IS NULL;

-- name: claim_purge
DELETE FROM claim WHERE id IN (SELECT id FROM claim WHERE expires_at < $1 ORDER BY expires_at LIMIT 1000);
