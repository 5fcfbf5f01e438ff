-- name: deployment_hot
-- The open ones of a range of devices, for the registry.
SELECT device, id, release, state, rollout, CASE WHEN origin = 'manual' THEN 0 ELSE 1 END AS by_policy
FROM deployment WHERE closed_at IS NULL AND device >= $1 AND device <= $2 ORDER BY device;

-- name: deployment_get
SELECT p.id, p.device, p.release, p.product, r.version, r.sequence, r.sha256, p.state, p.origin, p.reason, p.report_seq, p.progress, p.error_code,
    p.error_text, p.created_at, p.updated_at, p.closed_at, p.rollout, p.phase
FROM deployment p JOIN release r ON r.id = p.release
WHERE p.id = $1;

-- The pages: $4 product, $5 state, $6 device, $7 release, $8 rollout; NULL is "any".
-- One statement for each column that can lead, so that its index gives the page in order.

-- name: deployment_list
-- sort: -created_at = p.id
SELECT p.id, p.device, p.release, p.product, r.version, r.sequence, r.sha256, p.state, p.origin, p.reason, p.report_seq, p.progress, p.error_code,
    p.error_text, p.created_at, p.updated_at, p.closed_at, p.rollout, p.phase
FROM deployment p CROSS JOIN release r
WHERE r.id = p.release AND {after}
    AND (CAST($4 AS TEXT) IS NULL OR p.product = $4) AND (CAST($5 AS TEXT) IS NULL OR p.state = $5) AND (CAST($6 AS TEXT) IS NULL OR p.device = $6)
    AND (CAST($7 AS BIGINT) IS NULL OR p.release = $7) AND (CAST($8 AS BIGINT) IS NULL OR p.rollout = $8)
ORDER BY {order} LIMIT $2;

-- name: deployment_list_product
-- sort: -created_at = p.id
SELECT p.id, p.device, p.release, p.product, r.version, r.sequence, r.sha256, p.state, p.origin, p.reason, p.report_seq, p.progress, p.error_code,
    p.error_text, p.created_at, p.updated_at, p.closed_at, p.rollout, p.phase
FROM deployment p CROSS JOIN release r
WHERE r.id = p.release AND {after} AND p.product = $4
    AND (CAST($5 AS TEXT) IS NULL OR p.state = $5) AND (CAST($6 AS TEXT) IS NULL OR p.device = $6)
    AND (CAST($7 AS BIGINT) IS NULL OR p.release = $7) AND (CAST($8 AS BIGINT) IS NULL OR p.rollout = $8)
ORDER BY {order} LIMIT $2;

-- name: deployment_list_device
-- sort: -created_at = p.id
SELECT p.id, p.device, p.release, p.product, r.version, r.sequence, r.sha256, p.state, p.origin, p.reason, p.report_seq, p.progress, p.error_code,
    p.error_text, p.created_at, p.updated_at, p.closed_at, p.rollout, p.phase
FROM deployment p CROSS JOIN release r
WHERE r.id = p.release AND {after} AND p.device = $6
    AND (CAST($4 AS TEXT) IS NULL OR p.product = $4) AND (CAST($5 AS TEXT) IS NULL OR p.state = $5)
    AND (CAST($7 AS BIGINT) IS NULL OR p.release = $7) AND (CAST($8 AS BIGINT) IS NULL OR p.rollout = $8)
ORDER BY {order} LIMIT $2;

-- name: deployment_list_release
-- sort: -created_at = p.id
SELECT p.id, p.device, p.release, p.product, r.version, r.sequence, r.sha256, p.state, p.origin, p.reason, p.report_seq, p.progress, p.error_code,
    p.error_text, p.created_at, p.updated_at, p.closed_at, p.rollout, p.phase
FROM deployment p CROSS JOIN release r
WHERE r.id = p.release AND {after} AND p.release = $7
    AND (CAST($4 AS TEXT) IS NULL OR p.product = $4) AND (CAST($5 AS TEXT) IS NULL OR p.state = $5)
    AND (CAST($6 AS TEXT) IS NULL OR p.device = $6) AND (CAST($8 AS BIGINT) IS NULL OR p.rollout = $8)
ORDER BY {order} LIMIT $2;

-- name: deployment_list_rollout
-- sort: -created_at = p.id
SELECT p.id, p.device, p.release, p.product, r.version, r.sequence, r.sha256, p.state, p.origin, p.reason, p.report_seq, p.progress, p.error_code,
    p.error_text, p.created_at, p.updated_at, p.closed_at, p.rollout, p.phase
FROM deployment p CROSS JOIN release r
WHERE r.id = p.release AND {after} AND p.rollout = $8
    AND (CAST($4 AS TEXT) IS NULL OR p.product = $4) AND (CAST($5 AS TEXT) IS NULL OR p.state = $5)
    AND (CAST($6 AS TEXT) IS NULL OR p.device = $6) AND (CAST($7 AS BIGINT) IS NULL OR p.release = $7)
ORDER BY {order} LIMIT $2;

-- name: deployment_list_state
-- sort: -created_at = p.id
SELECT p.id, p.device, p.release, p.product, r.version, r.sequence, r.sha256, p.state, p.origin, p.reason, p.report_seq, p.progress, p.error_code,
    p.error_text, p.created_at, p.updated_at, p.closed_at, p.rollout, p.phase
FROM deployment p CROSS JOIN release r
WHERE r.id = p.release AND {after} AND p.state = $5
    AND (CAST($4 AS TEXT) IS NULL OR p.product = $4) AND (CAST($6 AS TEXT) IS NULL OR p.device = $6)
    AND (CAST($7 AS BIGINT) IS NULL OR p.release = $7) AND (CAST($8 AS BIGINT) IS NULL OR p.rollout = $8)
ORDER BY {order} LIMIT $2;

-- name: deployment_count
SELECT state, COUNT(*) AS count FROM deployment GROUP BY state;

-- name: deployment_insert
-- Ids are those of DDI actions: from 1001 up, without those whose digits after the first are all zero (a client reads the id one character too late).
INSERT INTO deployment (id, device, release, product, state, origin, report_seq, report_count, created_at, updated_at, rollout, phase, pruned)
VALUES ((SELECT n.id + CASE WHEN REPLACE(SUBSTR(CAST(n.id AS TEXT), 2), '0', '') = '' THEN 1 ELSE 0 END
    FROM (SELECT COALESCE(MAX(id), 1000) + 1 AS id FROM deployment) n), $1, $2, (SELECT product FROM release WHERE id = $2),
    $3, $4, 0, 0, $5, $5, CAST($6 AS BIGINT), CAST($7 AS BIGINT), 0)
RETURNING id;

-- name: deployment_move
-- The guard of the state table, repeated: no row when another was faster. $6 is NULL while it stays open.
UPDATE deployment SET state = $3, reason = COALESCE(CAST($4 AS TEXT), reason), updated_at = $5, closed_at = CAST($6 AS BIGINT)
WHERE id = $1 AND state = $2 AND closed_at IS NULL
RETURNING device, rollout;

-- name: deployment_report
-- A move by a report.
UPDATE deployment SET state = $3, report_seq = $4, report_count = report_count + 1, progress = COALESCE(CAST($5 AS BIGINT), progress),
    error_code = COALESCE(CAST($6 AS TEXT), error_code), error_text = COALESCE(CAST($7 AS TEXT), error_text), reason = COALESCE(CAST($8 AS TEXT), reason),
    updated_at = $9, closed_at = CAST($10 AS BIGINT)
WHERE id = $1 AND state = $2 AND report_seq < $4;

-- name: deployment_report_count
SELECT report_count FROM deployment WHERE id = $1;

-- name: deployment_to_prune
-- Closed before $1, the longest ago first.
SELECT id FROM deployment WHERE pruned = 0 AND closed_at < $1 ORDER BY closed_at LIMIT $2;

-- name: deployment_pruned
UPDATE deployment SET pruned = 1 WHERE id = $1 AND closed_at IS NOT NULL;

-- name: deployment_entitles
-- By the index of devices: a device has few, a release has many ("+" keeps the other index out).
SELECT id FROM deployment WHERE device = $1 AND +release = $2 AND (closed_at IS NULL OR closed_at >= $3) LIMIT 1;

-- name: quarantine_hot
-- Releases that the policy does not offer again, newest first.
SELECT device, release FROM quarantine WHERE device >= $1 AND device <= $2 AND held = 1 ORDER BY device, release DESC;

-- name: quarantine_count
-- One failure more; held from the $3rd on.
INSERT INTO quarantine (device, release, failures, held) VALUES ($1, $2, 1, CASE WHEN $3 <= 1 THEN 1 ELSE 0 END)
ON CONFLICT (device, release) DO UPDATE SET failures = quarantine.failures + 1,
    held = CASE WHEN quarantine.failures + 1 >= $3 THEN 1 ELSE quarantine.held END;

-- name: quarantine_held
SELECT held FROM quarantine WHERE device = $1 AND release = $2;

-- name: quarantine_hold
INSERT INTO quarantine (device, release, failures, held) VALUES ($1, $2, 0, 1) ON CONFLICT (device, release) DO UPDATE SET held = 1;

-- name: quarantine_lift
DELETE FROM quarantine WHERE device = $1 AND release = $2;
