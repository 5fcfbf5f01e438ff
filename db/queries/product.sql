-- name: product_get
SELECT name, description, policy, created_at, revision FROM product WHERE name = $1;

-- name: product_list
-- sort: name = name
-- sort: created_at = created_at, name
SELECT name, description, policy, created_at, revision FROM product WHERE {after} ORDER BY {order} LIMIT $2;

-- name: product_insert
INSERT INTO product (name, description, policy, created_at, revision) VALUES ($1, $2, $3, $4, 1) ON CONFLICT DO NOTHING;

-- name: product_update
-- Only the revision that the caller saw.
UPDATE product SET description = $2, policy = $3, revision = revision + 1 WHERE name = $1 AND revision = $4;
