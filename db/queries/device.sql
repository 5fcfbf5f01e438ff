-- name: device_hot
-- What the registry holds of a range of devices; deployment_hot, device_seen_hot and quarantine_hot are the rest.
SELECT id, state, product, hardware, pin_current, pin_next, pin_origin, floor_sequence, floor_security, floor_sha256
FROM device WHERE id >= $1 AND id <= $2 ORDER BY id;

-- name: device_seen_hot
SELECT device, last_seen, installed_version, installed_sequence, certificate_expires_at FROM device_seen WHERE device >= $1 AND device <= $2 ORDER BY device;

-- name: device_tags
SELECT tag FROM device_tag WHERE device = $1 ORDER BY tag;

-- name: device_attributes
SELECT attributes FROM device WHERE id = $1;

-- name: device_tag_clear
DELETE FROM device_tag WHERE device = $1;

-- name: device_tag_insert
INSERT INTO device_tag (tag, device) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: device_insert
INSERT INTO device (id, state, product, hardware, pin_current, pin_origin, floor_sequence, floor_security, attributes, created_at, revision)
VALUES ($1, $2, $3, $4, $5, $8, 0, 0, COALESCE(CAST($7 AS TEXT), '{}'), $6, 1) ON CONFLICT DO NOTHING;

-- name: device_seen_insert
INSERT INTO device_seen (device) VALUES ($1);

-- name: device_move
UPDATE device SET state = $3, revision = revision + 1 WHERE id = $1 AND state = $2;

-- name: device_update
-- NULL leaves a column as it is. A mismatch that was told counts as settled when the identity is set.
UPDATE device SET product = COALESCE(CAST($2 AS TEXT), product), hardware = COALESCE(CAST($3 AS TEXT), hardware),
    mismatch = CASE WHEN COALESCE(CAST($2 AS TEXT), CAST($3 AS TEXT)) IS NULL THEN mismatch END,
    attributes = COALESCE(CAST($4 AS TEXT), attributes), revision = revision + 1
WHERE id = $1;

-- name: device_fill
-- A first report fills what is empty, nothing else.
UPDATE device SET product = COALESCE(product, CAST($2 AS TEXT)), hardware = COALESCE(hardware, CAST($3 AS TEXT)), revision = revision + 1
WHERE id = $1;

-- name: device_mismatch
-- Remembers which other identity was told in an event.
UPDATE device SET mismatch = $2 WHERE id = $1 AND (mismatch IS NULL OR mismatch <> $2);

-- name: device_pin_bar
-- What stands against this key: another device that has it (0), or a certificate of it that was revoked (1).
SELECT 0 AS revoked FROM device WHERE pin_current = $1 AND id <> $2
UNION ALL
SELECT 0 FROM device WHERE pin_next = $1 AND id <> $2
UNION ALL
SELECT 1 FROM certificate WHERE spki_sha256 = $1 AND revoked_at IS NOT NULL
LIMIT 1;

-- name: device_pin_first
UPDATE device SET pin_current = $2, pin_origin = $3, revision = revision + 1 WHERE id = $1 AND pin_current IS NULL;

-- name: device_pin_replace
UPDATE device SET pin_current = $2, pin_next = NULL, pin_origin = $3, revision = revision + 1 WHERE id = $1;

-- name: device_set_pins
UPDATE device SET pin_current = $2, pin_next = $3, revision = revision + 1 WHERE id = $1;

-- name: device_floor
UPDATE device SET floor_sequence = $2, floor_security = $3, floor_sha256 = $4, revision = revision + 1 WHERE id = $1;

-- name: device_seen_flush
UPDATE device_seen SET last_seen = $2, first_seen = COALESCE(first_seen, $2) WHERE device = $1;

-- name: device_seen_flush_installed
UPDATE device_seen SET last_seen = $2, first_seen = COALESCE(first_seen, $2), installed_version = $3, installed_sequence = $4
WHERE device = $1;

-- name: device_seen_certificate
UPDATE device_seen SET certificate_expires_at = $2 WHERE device = $1;

-- name: device_seen_installed
UPDATE device_seen SET installed_version = $2, installed_sequence = $3 WHERE device = $1;

-- name: device_get
SELECT d.id, d.state, d.product, d.hardware, d.pin_current, d.pin_next, d.pin_origin, d.floor_sequence, d.floor_security, d.floor_sha256, d.attributes,
    d.created_at, d.revision, s.first_seen, s.last_seen, s.installed_version, s.installed_sequence,
    (SELECT o.id FROM deployment o WHERE o.device = d.id AND o.closed_at IS NULL) AS open_deployment
FROM device d JOIN device_seen s ON s.device = d.id WHERE d.id = $1;

-- The pages of devices: $9 the first possible id, $10 above the last; the other filters are NULL for "any".
-- One statement for each column that can lead, so that its index gives the page in order.

-- name: device_list_id
-- sort: id = d.id
SELECT d.id, d.state, d.product, d.hardware, d.pin_current, d.pin_next, d.pin_origin, d.floor_sequence, d.floor_security, d.floor_sha256, d.attributes,
    d.created_at, d.revision, s.first_seen, s.last_seen, s.installed_version, s.installed_sequence,
    (SELECT o.id FROM deployment o WHERE o.device = d.id AND o.closed_at IS NULL) AS open_deployment
FROM device d JOIN device_seen s ON s.device = d.id
WHERE {after} AND d.id >= $9 AND d.id < $10
    AND (CAST($4 AS TEXT) IS NULL OR d.product = $4) AND (CAST($5 AS TEXT) IS NULL OR d.hardware = $5) AND (CAST($6 AS TEXT) IS NULL OR d.state = $6)
    AND (CAST($7 AS TEXT) IS NULL OR s.installed_version = $7) AND (CAST($8 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM device_tag g WHERE g.tag = $8 AND g.device = d.id))
ORDER BY {order} LIMIT $2;

-- name: device_list_product
-- sort: id = d.id
SELECT d.id, d.state, d.product, d.hardware, d.pin_current, d.pin_next, d.pin_origin, d.floor_sequence, d.floor_security, d.floor_sha256, d.attributes,
    d.created_at, d.revision, s.first_seen, s.last_seen, s.installed_version, s.installed_sequence,
    (SELECT o.id FROM deployment o WHERE o.device = d.id AND o.closed_at IS NULL) AS open_deployment
FROM device d JOIN device_seen s ON s.device = d.id
WHERE {after} AND d.id >= $9 AND d.id < $10 AND d.product = $4
    AND (CAST($5 AS TEXT) IS NULL OR d.hardware = $5) AND (CAST($6 AS TEXT) IS NULL OR d.state = $6) AND (CAST($7 AS TEXT) IS NULL OR s.installed_version = $7)
    AND (CAST($8 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM device_tag g WHERE g.tag = $8 AND g.device = d.id))
ORDER BY {order} LIMIT $2;

-- name: device_list_hardware
-- sort: id = d.id
SELECT d.id, d.state, d.product, d.hardware, d.pin_current, d.pin_next, d.pin_origin, d.floor_sequence, d.floor_security, d.floor_sha256, d.attributes,
    d.created_at, d.revision, s.first_seen, s.last_seen, s.installed_version, s.installed_sequence,
    (SELECT o.id FROM deployment o WHERE o.device = d.id AND o.closed_at IS NULL) AS open_deployment
FROM device d JOIN device_seen s ON s.device = d.id
WHERE {after} AND d.id >= $9 AND d.id < $10 AND d.hardware = $5
    AND (CAST($4 AS TEXT) IS NULL OR d.product = $4) AND (CAST($6 AS TEXT) IS NULL OR d.state = $6) AND (CAST($7 AS TEXT) IS NULL OR s.installed_version = $7)
    AND (CAST($8 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM device_tag g WHERE g.tag = $8 AND g.device = d.id))
ORDER BY {order} LIMIT $2;

-- name: device_list_state
-- sort: id = d.id
SELECT d.id, d.state, d.product, d.hardware, d.pin_current, d.pin_next, d.pin_origin, d.floor_sequence, d.floor_security, d.floor_sha256, d.attributes,
    d.created_at, d.revision, s.first_seen, s.last_seen, s.installed_version, s.installed_sequence,
    (SELECT o.id FROM deployment o WHERE o.device = d.id AND o.closed_at IS NULL) AS open_deployment
FROM device d JOIN device_seen s ON s.device = d.id
WHERE {after} AND d.id >= $9 AND d.id < $10 AND d.state = $6
    AND (CAST($4 AS TEXT) IS NULL OR d.product = $4) AND (CAST($5 AS TEXT) IS NULL OR d.hardware = $5) AND (CAST($7 AS TEXT) IS NULL OR s.installed_version = $7)
    AND (CAST($8 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM device_tag g WHERE g.tag = $8 AND g.device = d.id))
ORDER BY {order} LIMIT $2;

-- name: device_list_version
-- sort: id = s.device AS id
SELECT d.id, d.state, d.product, d.hardware, d.pin_current, d.pin_next, d.pin_origin, d.floor_sequence, d.floor_security, d.floor_sha256, d.attributes,
    d.created_at, d.revision, s.first_seen, s.last_seen, s.installed_version, s.installed_sequence,
    (SELECT o.id FROM deployment o WHERE o.device = d.id AND o.closed_at IS NULL) AS open_deployment
FROM device_seen s CROSS JOIN device d
WHERE d.id = s.device AND {after} AND s.device >= $9 AND s.device < $10 AND s.installed_version = $7
    AND (CAST($4 AS TEXT) IS NULL OR d.product = $4) AND (CAST($5 AS TEXT) IS NULL OR d.hardware = $5) AND (CAST($6 AS TEXT) IS NULL OR d.state = $6)
    AND (CAST($8 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM device_tag g WHERE g.tag = $8 AND g.device = d.id))
ORDER BY {order} LIMIT $2;

-- name: device_list_tag
-- sort: id = g.device AS id
SELECT d.id, d.state, d.product, d.hardware, d.pin_current, d.pin_next, d.pin_origin, d.floor_sequence, d.floor_security, d.floor_sha256, d.attributes,
    d.created_at, d.revision, s.first_seen, s.last_seen, s.installed_version, s.installed_sequence,
    (SELECT o.id FROM deployment o WHERE o.device = d.id AND o.closed_at IS NULL) AS open_deployment
FROM device_tag g CROSS JOIN device d CROSS JOIN device_seen s
WHERE d.id = g.device AND s.device = d.id AND {after} AND g.device >= $9 AND g.device < $10 AND g.tag = $8
    AND (CAST($4 AS TEXT) IS NULL OR d.product = $4) AND (CAST($5 AS TEXT) IS NULL OR d.hardware = $5) AND (CAST($6 AS TEXT) IS NULL OR d.state = $6)
    AND (CAST($7 AS TEXT) IS NULL OR s.installed_version = $7)
ORDER BY {order} LIMIT $2;
