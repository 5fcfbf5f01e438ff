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
SELECT id AS first FROM event WHERE time >= $1 ORDER BY time, id LIMIT 1;

-- name: event_after
-- The order of a stream.
SELECT id, time, kind, device, product, detail FROM event WHERE id > $1 ORDER BY id LIMIT $2;

-- The pages: ids from $7 up, $4 kind, $5 device, $6 product; NULL is "any".

-- name: event_list
-- sort: -time = id
SELECT id, time, kind, device, product, detail FROM event WHERE {after} AND id >= $7 ORDER BY {order} LIMIT $2;

-- name: event_list_product
-- sort: -time = id
SELECT id, time, kind, device, product, detail FROM event WHERE product = $6 AND {after} AND id >= $7 ORDER BY {order} LIMIT $2;

-- name: event_list_device
-- sort: -time = id
SELECT id, time, kind, device, product, detail FROM event
WHERE device = $5 AND {after} AND id >= $7 AND (CAST($4 AS TEXT) IS NULL OR kind = $4) AND (CAST($6 AS TEXT) IS NULL OR product = $6)
ORDER BY {order} LIMIT $2;

-- name: event_list_kind
-- sort: -time = id
SELECT id, time, kind, device, product, detail FROM event WHERE kind = $4 AND {after} AND id >= $7 ORDER BY {order} LIMIT $2;

-- name: event_list_kind_product
-- sort: -time = id
SELECT id, time, kind, device, product, detail FROM event
WHERE kind = $4 AND product = $6 AND {after} AND id >= $7 ORDER BY {order} LIMIT $2;

-- name: event_purge
-- The newest one stays: ids are counted from it. So does what a webhook has yet to get.
DELETE FROM event WHERE id IN (
    SELECT id FROM event WHERE time < $1 AND id < (SELECT MAX(id) FROM event)
      AND NOT EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.event = event.id AND d.state = 'waiting')
    ORDER BY time, id LIMIT 1000);
