-- name: audit_last
SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1;

-- name: audit_insert
INSERT INTO audit (seq, time, actor, action, object, detail, request_id, prev_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: audit_since
-- The first row of that time or later.
SELECT seq AS first FROM audit WHERE time >= $1 ORDER BY time, seq LIMIT 1;

-- The pages: rows from $4 up, $5 action, $6 actor, $7 object; NULL is "any".

-- name: audit_list
-- sort: time = seq
SELECT seq, time, actor, action, object, detail, request_id, prev_hash, hash FROM audit WHERE {after} AND seq >= $4 ORDER BY {order} LIMIT $2;

-- name: audit_list_action
-- sort: time = seq
SELECT seq, time, actor, action, object, detail, request_id, prev_hash, hash FROM audit
WHERE action = $5 AND {after} AND seq >= $4 ORDER BY {order} LIMIT $2;

-- name: audit_list_actor
-- sort: time = seq
SELECT seq, time, actor, action, object, detail, request_id, prev_hash, hash FROM audit
WHERE actor = $6 AND {after} AND seq >= $4 AND (CAST($5 AS TEXT) IS NULL OR action = $5)
ORDER BY {order} LIMIT $2;

-- name: audit_list_object
-- sort: time = seq
SELECT seq, time, actor, action, object, detail, request_id, prev_hash, hash FROM audit
WHERE object = $7 AND {after} AND seq >= $4 AND (CAST($5 AS TEXT) IS NULL OR action = $5) AND (CAST($6 AS TEXT) IS NULL OR actor = $6)
ORDER BY {order} LIMIT $2;

-- name: audit_hash
SELECT seq, hash FROM audit WHERE seq = $1;

-- name: audit_checkpoint_insert
INSERT INTO audit_checkpoint (seq, hash, time, key_id, signature) VALUES ($1, $2, $3, $4, $5);

-- name: audit_checkpoint_last
SELECT seq, hash, time, key_id, signature FROM audit_checkpoint ORDER BY seq DESC LIMIT 1;
