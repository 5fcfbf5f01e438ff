-- What must outlive the restore of an older backup: read from the store that is replaced, written into the one that takes its place.

-- name: restore_device_list
SELECT id, state, product, hardware, pin_current, pin_origin, floor_sequence, floor_security, floor_sha256, created_at FROM device
WHERE id > $1 AND (floor_sequence > 0 OR floor_security > 0 OR state IN ('revoked', 'retired')) ORDER BY id LIMIT $2;

-- name: restore_device
-- A floor never falls, a device that is out of service stays so. One that the backup does not know comes back with its key, unless another has it.
INSERT INTO device (id, state, product, hardware, pin_current, pin_origin, floor_sequence, floor_security, floor_sha256, attributes, created_at, revision)
VALUES ($1, $2, (SELECT name FROM product WHERE name = $3), $4,
    CASE WHEN EXISTS (SELECT 1 FROM device WHERE pin_current = $9 OR pin_next = $9) THEN NULL ELSE $9 END, $10, $5, $6, $7, '{}', $8, 1)
ON CONFLICT (id) DO UPDATE SET
    state = CASE WHEN excluded.state IN ('revoked', 'retired') THEN excluded.state ELSE device.state END,
    floor_sha256 = CASE WHEN excluded.floor_sequence > device.floor_sequence THEN excluded.floor_sha256 ELSE device.floor_sha256 END,
    floor_sequence = CASE WHEN excluded.floor_sequence > device.floor_sequence THEN excluded.floor_sequence ELSE device.floor_sequence END,
    floor_security = CASE WHEN excluded.floor_security > device.floor_security THEN excluded.floor_security ELSE device.floor_security END,
    revision = device.revision + 1
WHERE excluded.floor_sequence > device.floor_sequence OR excluded.floor_security > device.floor_security
    OR (excluded.state IN ('revoked', 'retired') AND device.state <> excluded.state);

-- name: restore_device_seen
INSERT INTO device_seen (device) VALUES ($1) ON CONFLICT (device) DO NOTHING;

-- name: restore_token_list
SELECT id AS name, revoked_at AS time FROM token WHERE id > $1 AND revoked_at IS NOT NULL ORDER BY id LIMIT $2;

-- Secrets as the replaced store had them last: one that was renewed or taken back since the backup is no good again.

-- name: restore_secret_list
SELECT id AS name, secret_sha256 AS secret, expires_at AS time FROM token WHERE id > $1 AND revoked_at IS NULL ORDER BY id LIMIT $2;

-- name: restore_secret
UPDATE token SET secret_sha256 = $2, previous_sha256 = NULL, previous_until = NULL, expires_at = $3, revision = revision + 1
WHERE id = $1 AND secret_sha256 <> $2;

-- name: restore_ddi_token_list
SELECT device AS name, token_sha256 AS secret FROM ddi_device WHERE device > $1 ORDER BY device LIMIT $2;

-- name: restore_ddi_token
UPDATE ddi_device SET token_sha256 = $2 WHERE device = $1 AND token_sha256 IS NOT NULL;

-- Keys of devices, likewise: one that was replaced or revoked since the backup opens nothing, and one that was renewed goes on.

-- name: restore_key_list
SELECT id AS name, pin_current AS secret, pin_origin AS origin FROM device WHERE id > $1 AND pin_current IS NOT NULL ORDER BY id LIMIT $2;

-- name: restore_key
UPDATE device SET pin_next = CASE WHEN pin_current = $2 THEN pin_next END, pin_current = $2, pin_origin = $3, revision = revision + 1
WHERE id = $1 AND (pin_current IS NULL OR pin_current <> $2 OR pin_origin <> $3)
    AND NOT EXISTS (SELECT 1 FROM device o WHERE o.id <> $1 AND (o.pin_current = $2 OR o.pin_next = $2));

-- name: restore_next_key_list
SELECT id AS name, pin_next AS secret FROM device WHERE id > $1 AND pin_current IS NOT NULL ORDER BY id LIMIT $2;

-- name: restore_next_key
UPDATE device SET revision = revision + 1,
    pin_next = CASE WHEN EXISTS (SELECT 1 FROM device o WHERE o.id <> $1 AND (o.pin_current = $2 OR o.pin_next = $2)) THEN NULL ELSE $2 END
WHERE id = $1 AND pin_next IS DISTINCT FROM $2;

-- name: restore_certificate_list
SELECT serial AS name, revoked_at AS time FROM certificate WHERE serial > $1 AND revoked_at IS NOT NULL ORDER BY serial LIMIT $2;

-- name: restore_rollout_list
SELECT CAST(id AS TEXT) AS name, COALESCE(ended_at, paused_at) AS time FROM rollout
WHERE CAST(id AS TEXT) > $1 AND state IN ('paused', 'stopped') ORDER BY CAST(id AS TEXT) LIMIT $2;

-- name: restore_rollout
-- What was halted since does not go on by itself; what had not begun then is over.
UPDATE rollout SET state = CASE WHEN state = 'running' THEN 'paused' ELSE 'stopped' END, halt = CASE WHEN state = 'running' THEN 'operator' ELSE '' END,
    paused_at = CASE WHEN state = 'running' THEN CAST($2 AS BIGINT) END, ended_at = CASE WHEN state = 'scheduled' THEN CAST($2 AS BIGINT) END,
    awaits_approval = 0, revision = revision + 1
WHERE id = CAST($1 AS BIGINT) AND state IN ('running', 'scheduled');

-- name: restore_claim_list
-- A claim that was spent is of no use to anybody; in the restored store it is revoked.
SELECT id AS name, COALESCE(revoked_at, spent_at) AS time FROM claim
WHERE id > $1 AND (revoked_at IS NOT NULL OR spent_at IS NOT NULL) ORDER BY id LIMIT $2;

-- name: restore_release_list
SELECT path AS name, withdrawn_at AS time FROM release WHERE path > $1 AND withdrawn_at IS NOT NULL ORDER BY path LIMIT $2;

-- name: restore_release
UPDATE release SET withdrawn_at = $2 WHERE path = $1 AND withdrawn_at IS NULL;
