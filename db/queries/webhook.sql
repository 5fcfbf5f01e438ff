-- name: webhook_get
SELECT id, url, description, product, state, secret, old_secret, old_until, told_at, created_by, created_at, revision FROM webhook WHERE id = $1;

-- name: webhook_list
-- sort: id = id
-- sort: created_at = created_at, id
SELECT id, url, description, product, state, secret, old_secret, old_until, told_at, created_by, created_at, revision FROM webhook
WHERE {after} ORDER BY {order} LIMIT $2;

-- name: webhook_kinds
SELECT kind FROM webhook_kind WHERE webhook = $1 ORDER BY kind;

-- name: webhook_count
SELECT COUNT(*) AS count FROM webhook;

-- name: webhook_insert
INSERT INTO webhook (id, url, description, product, state, secret, created_by, created_at, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1);

-- name: webhook_update
UPDATE webhook SET url = $2, description = $3, product = $4, state = $5, revision = revision + 1 WHERE id = $1;

-- name: webhook_rotate
UPDATE webhook SET old_secret = secret, old_until = $3, secret = $2, revision = revision + 1 WHERE id = $1;

-- name: webhook_told
UPDATE webhook SET told_at = $2 WHERE id = $1;

-- name: webhook_delete
DELETE FROM webhook WHERE id = $1;

-- name: webhook_kind_insert
INSERT INTO webhook_kind (webhook, kind) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: webhook_kind_clear
DELETE FROM webhook_kind WHERE webhook = $1;

-- name: delivery_fan_out
-- The newest event ($1 its kind, $2 its product or NULL, $3 now) to every webhook that wants it.
INSERT INTO webhook_delivery (webhook, event, state, attempts, next_at, created_at, error)
SELECT w.id, (SELECT MAX(id) FROM event), 'waiting', 0, $3, $3, '' FROM webhook w
WHERE w.state = 'enabled' AND (w.product IS NULL OR w.product = $2)
  AND (NOT EXISTS (SELECT 1 FROM webhook_kind k WHERE k.webhook = w.id) OR EXISTS (SELECT 1 FROM webhook_kind k WHERE k.webhook = w.id AND k.kind = $1));

-- name: delivery_insert
-- The newest event to this webhook, whatever it wants.
INSERT INTO webhook_delivery (webhook, event, state, attempts, next_at, created_at, error)
VALUES ($1, (SELECT MAX(id) FROM event), 'waiting', 0, $2, $2, '') ON CONFLICT DO NOTHING;

-- name: delivery_get
SELECT webhook, event, state, attempts, next_at, created_at, last_at, status, error FROM webhook_delivery WHERE webhook = $1 AND event = $2;

-- name: delivery_list
-- sort: -created_at = event
SELECT webhook, event, state, attempts, next_at, created_at, last_at, status, error FROM webhook_delivery
WHERE webhook = $4 AND {after} AND (CAST($5 AS TEXT) IS NULL OR state = $5)
ORDER BY {order} LIMIT $2;

-- name: delivery_due
-- The next one of a webhook.
SELECT webhook, event, state, attempts, next_at, created_at, last_at, status, error FROM webhook_delivery
WHERE webhook = $1 AND state = 'waiting' AND next_at <= $2 ORDER BY next_at, event LIMIT 1;

-- name: delivery_outcome
UPDATE webhook_delivery SET state = $3, attempts = attempts + 1, next_at = $4, last_at = $5, status = $6, error = $7
WHERE webhook = $1 AND event = $2 AND state = 'waiting';

-- name: delivery_retry
UPDATE webhook_delivery SET state = 'waiting', attempts = 0, next_at = $3 WHERE webhook = $1 AND event = $2 AND state <> 'waiting';

-- name: delivery_overflow
-- Waiting ones of a webhook beyond the newest $2: dead. "+": only what waits is looked at and sorted, not all that was delivered.
UPDATE webhook_delivery SET state = 'dead', error = 'too many were waiting'
WHERE webhook = $1 AND state = 'waiting' AND event IN (
    SELECT event FROM webhook_delivery WHERE webhook = $1 AND state = 'waiting' ORDER BY +event DESC LIMIT 1000 OFFSET $2);

-- name: delivery_clear
DELETE FROM webhook_delivery WHERE webhook = $1;

-- name: delivery_purge
-- What is over, $1 the state, $2 made before then; a slice at a time.
DELETE FROM webhook_delivery WHERE state = $1 AND (webhook, event) IN (
    SELECT webhook, event FROM webhook_delivery WHERE state = $1 AND created_at < $2 ORDER BY created_at LIMIT 1000);

-- name: delivery_counts
SELECT state, COUNT(*) AS count FROM webhook_delivery GROUP BY state;
