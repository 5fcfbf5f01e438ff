-- name: image_get
SELECT sha256, sha1, md5, length, created_at FROM image WHERE sha256 = $1;

-- name: image_insert
INSERT INTO image (sha256, sha1, md5, length, created_at) VALUES ($1, $2, $3, $4, $5);

-- name: image_touch
-- An upload repeated: its 24 hours begin again.
UPDATE image SET created_at = $2 WHERE sha256 = $1;

-- name: image_unreferenced
-- No release names them and they are older than $1.
SELECT sha256 FROM image i WHERE i.created_at < $1 AND NOT EXISTS (SELECT 1 FROM release r WHERE r.sha256 = i.sha256)
ORDER BY i.created_at, i.sha256 LIMIT $2;

-- name: image_delete
DELETE FROM image WHERE sha256 = $1;

-- name: image_signature_get
SELECT data FROM image_signature WHERE sha256 = $1;

-- name: image_signature_set
INSERT INTO image_signature (sha256, data) VALUES ($1, $2) ON CONFLICT (sha256) DO UPDATE SET data = excluded.data;

-- name: image_signature_delete
DELETE FROM image_signature WHERE sha256 = $1;

-- name: image_list
SELECT sha256, sha1, md5, length, created_at FROM image WHERE sha256 > $1 ORDER BY sha256 LIMIT $2;

-- name: image_total
SELECT COALESCE(SUM(length), 0) AS bytes FROM image;

-- name: image_signature_forget
-- What a backup leaves out: images that no release names.
DELETE FROM image_signature WHERE NOT EXISTS (SELECT 1 FROM release r WHERE r.sha256 = image_signature.sha256);

-- name: image_forget
DELETE FROM image WHERE NOT EXISTS (SELECT 1 FROM release r WHERE r.sha256 = image.sha256);
