-- name: report_get
SELECT deployment, report_seq, event, progress, error_code, error_text, installed_version, installed_sequence, result, received_at
FROM report WHERE deployment = $1 AND report_seq = $2;

-- name: report_insert
INSERT INTO report (deployment, report_seq, event, progress, error_code, error_text, installed_version, installed_sequence, result, received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: report_prune
-- All but the last of a deployment.
DELETE FROM report WHERE deployment = $1 AND report_seq < (SELECT report_seq FROM deployment WHERE id = $1);
