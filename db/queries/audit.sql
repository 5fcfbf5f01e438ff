-- name: audit_last
SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1;

-- name: audit_insert
INSERT INTO audit (seq, time, actor, action, object, detail, request_id, prev_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: audit_list
-- sort: time = seq
SELECT seq, time, actor, action, object, detail, request_id, prev_hash, hash FROM audit WHERE {after} ORDER BY {order} LIMIT $2;

-- name: audit_hash
SELECT seq, hash FROM audit WHERE seq = $1;

-- name: audit_checkpoint_insert
INSERT INTO audit_checkpoint (seq, hash, time, key_id, signature) VALUES ($1, $2, $3, $4, $5);

-- name: audit_checkpoint_last
SELECT seq, hash, time, key_id, signature FROM audit_checkpoint ORDER BY seq DESC LIMIT 1;
