-- name: idempotency_get
SELECT actor, key, request_sha256, status, content_type, location, etag, body, created_at FROM idempotency WHERE actor = $1 AND key = $2;

-- name: idempotency_insert
INSERT INTO idempotency (actor, key, request_sha256, status, content_type, location, etag, body, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT DO NOTHING;

-- name: idempotency_purge
DELETE FROM idempotency WHERE (actor, key) IN (SELECT actor, key FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT 1000);
