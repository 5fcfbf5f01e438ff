-- name: metadata_current
SELECT role, version, data, sha256, current, stored_at FROM metadata WHERE role = $1 AND current = 1;

-- name: metadata_get
SELECT role, version, data, sha256, current, stored_at FROM metadata WHERE role = $1 AND version = $2;

-- name: metadata_delegated
SELECT role FROM metadata WHERE current = 1 AND role NOT IN ('root', 'timestamp', 'snapshot', 'targets') ORDER BY role;

-- name: metadata_retire
-- The current one makes room for the next.
UPDATE metadata SET current = 0 WHERE role = $1 AND current = 1;

-- name: metadata_insert
INSERT INTO metadata (role, version, data, sha256, current, stored_at) VALUES ($1, $2, $3, $4, 1, $5);

-- name: metadata_prune
-- Keeps the newest $2 of a role.
DELETE FROM metadata WHERE role = $1 AND version NOT IN (SELECT version FROM metadata WHERE role = $1 ORDER BY version DESC LIMIT $2);
