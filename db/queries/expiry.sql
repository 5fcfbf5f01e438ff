-- name: expiry_list
-- Certificates that devices in use showed last and that end before $4. $5 product, NULL for any.
-- sort: expires_at = s.certificate_expires_at AS expires_at, s.device
SELECT s.device, d.product, d.state, s.certificate_expires_at AS expires_at, s.last_seen
FROM device_seen s CROSS JOIN device d
WHERE d.id = s.device AND s.certificate_expires_at < $4 AND {after} AND d.state IN ('pending', 'active') AND (CAST($5 AS TEXT) IS NULL OR d.product = $5)
ORDER BY {order} LIMIT $2;

-- name: expiry_count
SELECT COUNT(*) AS count FROM device_seen s CROSS JOIN device d
WHERE d.id = s.device AND s.certificate_expires_at >= $1 AND s.certificate_expires_at < $2 AND d.state IN ('pending', 'active');

-- name: expiry_untold
-- Those of active devices that no event has told of.
SELECT d.id AS device, d.product, d.state, s.certificate_expires_at AS expires_at, s.last_seen
FROM device_seen s CROSS JOIN device d
WHERE d.id = s.device AND s.certificate_expires_at < $1 AND (s.certificate_told IS NULL OR s.certificate_told <> s.certificate_expires_at) AND d.state = 'active'
ORDER BY s.certificate_expires_at, s.device LIMIT $2;

-- name: expiry_told
UPDATE device_seen SET certificate_told = $2 WHERE device = $1;
