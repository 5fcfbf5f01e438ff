-- name: ddi_hot
-- Of a range of devices, for the registry.
SELECT d.device, d.client, d.configured, CASE WHEN a.fetched_at IS NULL THEN 0 ELSE 1 END AS fetched,
    CASE WHEN a.result IS NULL THEN 0 ELSE 1 END AS answered
FROM ddi_device d LEFT JOIN deployment p ON p.device = d.device AND p.closed_at IS NULL LEFT JOIN ddi_action a ON a.deployment = p.id
WHERE d.device >= $1 AND d.device <= $2 ORDER BY d.device;

-- name: ddi_device_get
SELECT device, client, configured, configured_at, attributes, token_sha256 FROM ddi_device WHERE device = $1;

-- name: ddi_device_client
INSERT INTO ddi_device (device, client, configured, attributes) VALUES ($1, $2, 0, '{}') ON CONFLICT (device) DO UPDATE SET client = $2;

-- name: ddi_device_configure
INSERT INTO ddi_device (device, client, configured, configured_at, attributes) VALUES ($1, 1, 1, $3, $2)
ON CONFLICT (device) DO UPDATE SET configured = 1, configured_at = $3, attributes = $2;

-- name: ddi_device_ask
UPDATE ddi_device SET configured = 0 WHERE device = $1;

-- name: ddi_device_token
INSERT INTO ddi_device (device, client, configured, attributes, token_sha256) VALUES ($1, 0, 0, '{}', $2)
ON CONFLICT (device) DO UPDATE SET token_sha256 = $2;

-- name: ddi_installed_unknown
-- It runs something that is no release of its product.
UPDATE device_seen SET installed_version = $2, installed_sequence = NULL WHERE device = $1;

-- name: ddi_action_get
SELECT deployment, fetched_at, result, cancel_result, log_seq, log_entries, log_bytes FROM ddi_action WHERE deployment = $1;

-- name: ddi_action_fetched
INSERT INTO ddi_action (deployment, fetched_at, log_seq, log_entries, log_bytes) VALUES ($1, $2, 0, 0, 0)
ON CONFLICT (deployment) DO UPDATE SET fetched_at = COALESCE(ddi_action.fetched_at, $2);

-- name: ddi_action_known
INSERT INTO ddi_action (deployment, log_seq, log_entries, log_bytes) VALUES ($1, 0, 0, 0) ON CONFLICT DO NOTHING;

-- name: ddi_action_result
UPDATE ddi_action SET result = $2 WHERE deployment = $1;

-- name: ddi_action_cancel
UPDATE ddi_action SET cancel_result = CAST($2 AS TEXT) WHERE deployment = $1;

-- name: ddi_action_log
-- One entry more, with so many bytes.
UPDATE ddi_action SET log_seq = log_seq + 1, log_entries = log_entries + 1, log_bytes = log_bytes + $2 WHERE deployment = $1
RETURNING log_seq, log_entries, log_bytes;

-- name: ddi_log_insert
INSERT INTO ddi_log (deployment, seq, time, execution, finished, cancel, closing, progress_count, progress_of, code, details, bytes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: ddi_log_oldest
-- The oldest entry that may go.
SELECT seq, bytes FROM ddi_log WHERE deployment = $1 AND closing = 0 ORDER BY seq LIMIT 1;

-- name: ddi_log_clear
DELETE FROM ddi_log WHERE deployment = $1;

-- name: ddi_action_log_cleared
UPDATE ddi_action SET log_entries = 0, log_bytes = 0 WHERE deployment = $1;

-- name: ddi_log_drop
DELETE FROM ddi_log WHERE deployment = $1 AND seq = $2;

-- name: ddi_action_log_dropped
UPDATE ddi_action SET log_entries = log_entries - 1, log_bytes = log_bytes - $2 WHERE deployment = $1;

-- name: ddi_log_list
-- sort: time = seq
SELECT seq, time, execution, finished, cancel, progress_count, progress_of, code, details
FROM ddi_log WHERE deployment = $4 AND {after} ORDER BY {order} LIMIT $2;

-- name: deployment_waiting_set
-- A newer one replaces it.
INSERT INTO deployment_waiting (device, release, created_at) VALUES ($1, $2, $3)
ON CONFLICT (device) DO UPDATE SET release = $2, created_at = $3;

-- name: deployment_waiting_get
SELECT release FROM deployment_waiting WHERE device = $1;

-- name: deployment_waiting_take
DELETE FROM deployment_waiting WHERE device = $1 RETURNING release;
