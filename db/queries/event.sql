-- name: event_insert
INSERT INTO event (id, time, kind, device, product, detail)
VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM event), $1, $2, $3, (SELECT product FROM device WHERE id = $3), $4);

-- name: event_insert_product
INSERT INTO event (id, time, kind, product, detail) VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM event), $1, $2, $3, $4);

-- The pages: newest first, ids below $1, $2 the limit, $3 kind, $4 device, $5 product; NULL is "any".

-- name: event_list
SELECT id, time, kind, device, product, detail FROM event
WHERE id < $1 AND (CAST($5 AS TEXT) IS NULL OR product = $5)
ORDER BY id DESC LIMIT $2;

-- name: event_list_device
SELECT id, time, kind, device, product, detail FROM event
WHERE device = $4 AND id < $1 AND (CAST($3 AS TEXT) IS NULL OR kind = $3) AND (CAST($5 AS TEXT) IS NULL OR product = $5)
ORDER BY id DESC LIMIT $2;

-- name: event_list_kind
SELECT id, time, kind, device, product, detail FROM event
WHERE kind = $3 AND id < $1 AND (CAST($5 AS TEXT) IS NULL OR product = $5)
ORDER BY id DESC LIMIT $2;

-- name: event_purge
-- The newest one stays: ids are counted from it.
DELETE FROM event WHERE id IN (SELECT id FROM event WHERE time < $1 AND id < (SELECT MAX(id) FROM event) ORDER BY id LIMIT 1000);
