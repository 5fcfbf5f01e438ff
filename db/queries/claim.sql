-- name: claim_get
SELECT id, secret_sha256, device, product, note, created_by, created_at, expires_at, revoked_at, spent_at, spent_key, spent_device, revision
FROM claim WHERE id = $1;

-- The pages of claims, behind $1, $2 the limit. A claim is for a device ($3) or for a product ($4), never for both.

-- name: claim_list
SELECT id, secret_sha256, device, product, note, created_by, created_at, expires_at, revoked_at, spent_at, spent_key, spent_device, revision
FROM claim WHERE id > $1 ORDER BY id LIMIT $2;

-- name: claim_list_device
SELECT id, secret_sha256, device, product, note, created_by, created_at, expires_at, revoked_at, spent_at, spent_key, spent_device, revision
FROM claim WHERE device = $3 AND id > $1 AND (CAST($4 AS TEXT) IS NULL OR product = $4) ORDER BY id LIMIT $2;

-- name: claim_list_product
SELECT id, secret_sha256, device, product, note, created_by, created_at, expires_at, revoked_at, spent_at, spent_key, spent_device, revision
FROM claim WHERE product = $4 AND id > $1 ORDER BY id LIMIT $2;

-- name: claim_insert
INSERT INTO claim (id, secret_sha256, device, product, note, created_by, created_at, expires_at, revision)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1) ON CONFLICT DO NOTHING;

-- name: claim_revoke
UPDATE claim SET revoked_at = $2, revision = revision + 1 WHERE id = $1 AND revoked_at IS NULL;

-- name: claim_spend
UPDATE claim SET spent_at = $2, spent_key = $3, spent_device = $4, revision = revision + 1 WHERE id = $1 AND spent_at IS NULL;

-- name: claim_purge
DELETE FROM claim WHERE id IN (SELECT id FROM claim WHERE expires_at < $1 ORDER BY expires_at LIMIT 1000);
