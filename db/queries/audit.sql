-- name: audit_last
SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1;

-- name: audit_insert
INSERT INTO audit (seq, time, actor, action, object, detail, request_id, prev_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: audit_list
SELECT seq, time, actor, action, object, detail, request_id, prev_hash, hash FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2;
