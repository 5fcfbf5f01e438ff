-- name: certificate_get
SELECT c.id, c.serial, c.device, d.product, c.spki_sha256, c.issuer_sha256, c.way, c.data, c.not_before, c.not_after, c.issued_at, c.revoked_at
FROM certificate c JOIN device d ON d.id = c.device WHERE c.serial = $1;

-- name: certificate_newest
-- The newest one of a device's key.
SELECT c.id, c.serial, c.device, d.product, c.spki_sha256, c.issuer_sha256, c.way, c.data, c.not_before, c.not_after, c.issued_at, c.revoked_at
FROM certificate c JOIN device d ON d.id = c.device WHERE c.device = $1 AND c.spki_sha256 = $2 ORDER BY c.id DESC LIMIT 1;

-- name: certificate_list
-- sort: issued_at = c.id
-- sort: expires_at = c.not_after, c.id
-- sort: device = c.device, c.id
-- $4 device, $5 product, $6 expires before: NULL for any. $7: 1 for those in use alone, the newest of each active device.
SELECT c.id, c.serial, c.device, d.product, c.spki_sha256, c.issuer_sha256, c.way, c.data, c.not_before, c.not_after, c.issued_at, c.revoked_at
FROM certificate c JOIN device d ON d.id = c.device
WHERE {after} AND (CAST($4 AS TEXT) IS NULL OR c.device = $4) AND (CAST($5 AS TEXT) IS NULL OR d.product = $5)
    AND (CAST($6 AS BIGINT) IS NULL OR c.not_after < $6)
    AND ($7 = 0 OR (d.state = 'active' AND c.revoked_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM certificate n WHERE n.device = c.device AND n.id > c.id AND n.revoked_at IS NULL)))
ORDER BY {order} LIMIT $2;

-- name: certificate_list_device
-- sort: issued_at = c.id
-- sort: expires_at = c.not_after, c.id
-- sort: device = c.device, c.id
-- The same for one device, by its index.
SELECT c.id, c.serial, c.device, d.product, c.spki_sha256, c.issuer_sha256, c.way, c.data, c.not_before, c.not_after, c.issued_at, c.revoked_at
FROM certificate c JOIN device d ON d.id = c.device
WHERE {after} AND c.device = $4 AND (CAST($5 AS TEXT) IS NULL OR d.product = $5) AND (CAST($6 AS BIGINT) IS NULL OR c.not_after < $6)
    AND ($7 = 0 OR (d.state = 'active' AND c.revoked_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM certificate n WHERE n.device = c.device AND n.id > c.id AND n.revoked_at IS NULL)))
ORDER BY {order} LIMIT $2;

-- name: certificate_insert
INSERT INTO certificate (id, serial, device, spki_sha256, issuer_sha256, way, data, not_before, not_after, issued_at)
VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM certificate), $1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING;

-- name: certificate_revoke
UPDATE certificate SET revoked_at = $2 WHERE serial = $1 AND revoked_at IS NULL;

-- name: certificate_count
SELECT COUNT(*) AS count FROM certificate WHERE device = $1 AND issued_at >= $2;

-- name: certificate_purge
-- The newest one of a device stays: it tells that the device had one.
DELETE FROM certificate WHERE id IN (SELECT c.id FROM certificate c WHERE c.not_after < $1
    AND EXISTS (SELECT 1 FROM certificate n WHERE n.device = c.device AND n.id > c.id) ORDER BY c.not_after, c.id LIMIT 1000);
