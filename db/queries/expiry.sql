-- name: expiry_list
-- Certificates that devices in use showed last and that end before $1, the first to end first; behind ($2, $3). $4 product, NULL for any.
SELECT d.id AS device, d.product, d.state, s.certificate_expires_at AS expires_at, s.last_seen
FROM device_seen s CROSS JOIN device d
WHERE d.id = s.device AND s.certificate_expires_at < $1 AND (s.certificate_expires_at, s.device) > ($2, $3) AND d.state IN ('pending', 'active')
    AND (CAST($4 AS TEXT) IS NULL OR d.product = $4)
ORDER BY s.certificate_expires_at, s.device LIMIT $5;

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
