-- name: event_insert
-- The product is the one that is given ($5), or the device's.
INSERT INTO event (id, time, kind, device, product, detail)
VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM event), $1, $2, $3, COALESCE(CAST($5 AS TEXT), (SELECT product FROM device WHERE id = $3)), $4)
RETURNING id, product;

-- name: event_get
SELECT id, time, kind, device, product, detail FROM event WHERE id = $1;

-- name: event_newest
SELECT COALESCE(MAX(id), 0) AS id FROM event;

-- name: event_since
-- The first event of that time or later.
SELECT id FROM event WHERE time >= $1 ORDER BY time, id LIMIT 1;

-- name: event_after
-- The order of a stream.
SELECT id, time, kind, device, product, detail FROM event WHERE id > $1 ORDER BY id LIMIT $2;

-- The pages: newest first, ids below $1 and from $6 up, $2 the limit, $3 kind, $4 device, $5 product; NULL is "any".

-- name: event_list
SELECT id, time, kind, device, product, detail FROM event
WHERE id < $1 AND id >= $6 AND (CAST($5 AS TEXT) IS NULL OR product = $5)
ORDER BY id DESC LIMIT $2;

-- name: event_list_device
SELECT id, time, kind, device, product, detail FROM event
WHERE device = $4 AND id < $1 AND id >= $6 AND (CAST($3 AS TEXT) IS NULL OR kind = $3) AND (CAST($5 AS TEXT) IS NULL OR product = $5)
ORDER BY id DESC LIMIT $2;

-- name: event_list_kind
SELECT id, time, kind, device, product, detail FROM event
WHERE kind = $3 AND id < $1 AND id >= $6 AND (CAST($5 AS TEXT) IS NULL OR product = $5)
ORDER BY id DESC LIMIT $2;

-- name: event_purge
-- The newest one stays: ids are counted from it. So does what a webhook has yet to get.
DELETE FROM event WHERE id IN (
    SELECT id FROM event WHERE time < $1 AND id < (SELECT MAX(id) FROM event)
      AND NOT EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.event = event.id AND d.state = 'waiting')
    ORDER BY time, id LIMIT 1000);
