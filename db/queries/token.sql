-- name: token_get
SELECT id, secret_sha256, previous_sha256, previous_until, name, created_by, created_at, expires_at, last_used_at, revoked_at, revision FROM token WHERE id = $1;

-- name: token_list
-- sort: id = id
-- sort: name = name, id
-- sort: created_at = created_at, id
-- sort: expires_at = expires_at, id
-- sort: last_used_at = COALESCE(last_used_at, 0), id
SELECT id, secret_sha256, previous_sha256, previous_until, name, created_by, created_at, expires_at, last_used_at, revoked_at, revision FROM token WHERE {after} ORDER BY {order} LIMIT $2;

-- name: token_grants
SELECT scope, product FROM token_grant WHERE token = $1 ORDER BY scope, product;

-- name: token_insert
INSERT INTO token (id, secret_sha256, name, created_by, created_at, expires_at, revision) VALUES ($1, $2, $3, $4, $5, $6, 1) ON CONFLICT DO NOTHING;

-- name: token_grant_insert
INSERT INTO token_grant (token, scope, product) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: token_revoke
UPDATE token SET revoked_at = $2, revision = revision + 1 WHERE id = $1 AND revoked_at IS NULL;

-- name: token_rotate
UPDATE token SET previous_sha256 = secret_sha256, previous_until = $3, secret_sha256 = $2, expires_at = $4, revision = revision + 1
WHERE id = $1 AND revoked_at IS NULL;

-- name: token_used
UPDATE token SET last_used_at = $2 WHERE id = $1;
