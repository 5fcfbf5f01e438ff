-- name: rollout_get
SELECT o.id, o.product, o.release, r.version, r.sequence, o.name, o.filter, o.ids, o.ids IS NOT NULL AS by_ids, o.salt, o.mode, o.continuous, o.start_at, o.max_in_flight,
    o.state, o.halt, o.phase, o.matched, o.awaits_approval, o.work, o.created_by, o.changed_by, o.approved_by, o.created_at, o.approved_at,
    o.started_at, o.paused_at, o.held_s, o.ended_at, o.revision, r.withdrawn_at,
    (SELECT MIN(m.due_clock) FROM rollout_member m WHERE m.rollout = o.id AND m.due_clock IS NOT NULL) AS next_due_clock
FROM rollout o JOIN release r ON r.id = o.release
WHERE o.id = $1;

-- The pages: $4 product, $5 state; NULL is "any". The list of ids is left out.

-- name: rollout_list
-- sort: -created_at = o.id
-- sort: name = o.name, o.id
SELECT o.id, o.product, o.release, r.version, r.sequence, o.name, o.filter, NULL AS ids, o.ids IS NOT NULL AS by_ids, o.salt, o.mode, o.continuous, o.start_at, o.max_in_flight,
    o.state, o.halt, o.phase, o.matched, o.awaits_approval, o.work, o.created_by, o.changed_by, o.approved_by, o.created_at, o.approved_at,
    o.started_at, o.paused_at, o.held_s, o.ended_at, o.revision, r.withdrawn_at,
    (SELECT MIN(m.due_clock) FROM rollout_member m WHERE m.rollout = o.id AND m.due_clock IS NOT NULL) AS next_due_clock
FROM rollout o CROSS JOIN release r
WHERE r.id = o.release AND {after} AND (CAST($5 AS TEXT) IS NULL OR o.state = $5)
ORDER BY {order} LIMIT $2;

-- name: rollout_list_product
-- sort: -created_at = o.id
-- sort: name = o.name, o.id
SELECT o.id, o.product, o.release, r.version, r.sequence, o.name, o.filter, NULL AS ids, o.ids IS NOT NULL AS by_ids, o.salt, o.mode, o.continuous, o.start_at, o.max_in_flight,
    o.state, o.halt, o.phase, o.matched, o.awaits_approval, o.work, o.created_by, o.changed_by, o.approved_by, o.created_at, o.approved_at,
    o.started_at, o.paused_at, o.held_s, o.ended_at, o.revision, r.withdrawn_at,
    (SELECT MIN(m.due_clock) FROM rollout_member m WHERE m.rollout = o.id AND m.due_clock IS NOT NULL) AS next_due_clock
FROM rollout o CROSS JOIN release r
WHERE r.id = o.release AND o.product = $4 AND {after} AND (CAST($5 AS TEXT) IS NULL OR o.state = $5)
ORDER BY {order} LIMIT $2;

-- name: rollout_active
-- What the catalog holds: sorted by product and the order in which they are asked.
SELECT o.id, o.product, o.release, r.version, r.sequence, o.name, o.filter, NULL AS ids, o.ids IS NOT NULL AS by_ids, o.salt, o.mode, o.continuous, o.start_at, o.max_in_flight,
    o.state, o.halt, o.phase, o.matched, o.awaits_approval, o.work, o.created_by, o.changed_by, o.approved_by, o.created_at, o.approved_at,
    o.started_at, o.paused_at, o.held_s, o.ended_at, o.revision, r.withdrawn_at,
    (SELECT MIN(m.due_clock) FROM rollout_member m WHERE m.rollout = o.id AND m.due_clock IS NOT NULL) AS next_due_clock
FROM rollout o CROSS JOIN release r
WHERE r.id = o.release AND (o.state IN ('scheduled', 'running', 'paused') OR o.work IS NOT NULL)
ORDER BY o.product, r.sequence DESC, o.id DESC;

-- name: rollout_active_count
SELECT COUNT(*) AS count FROM rollout WHERE product = $1 AND state IN ('scheduled', 'running', 'paused');

-- name: rollout_number
UPDATE rollout_number SET last = last + 1;

-- name: rollout_insert
INSERT INTO rollout (id, product, release, name, filter, ids, salt, mode, continuous, start_at, max_in_flight, state, halt, phase, awaits_approval,
    created_by, changed_by, created_at, held_s, revision)
VALUES ((SELECT last FROM rollout_number), $1, $2, $3, $4, $5, $6, $7, $8, CAST($9 AS BIGINT), CAST($10 AS BIGINT), 'draft', '', 0, 0, $11, $11, $12, 0, 1)
RETURNING id;

-- name: rollout_update
UPDATE rollout SET release = $3, name = $4, filter = $5, ids = $6, mode = $7, continuous = $8, start_at = CAST($9 AS BIGINT),
    max_in_flight = CAST($10 AS BIGINT), changed_by = $11, approved_by = NULL, approved_at = NULL, revision = revision + 1
WHERE id = $1 AND revision = $2 AND state = 'draft';

-- name: rollout_delete
DELETE FROM rollout WHERE id = $1 AND revision = $2 AND state = 'draft';

-- name: rollout_move
-- The guard of the state table, repeated.
UPDATE rollout SET state = $3, halt = $4, start_at = CAST($5 AS BIGINT), phase = $6,
    awaits_approval = CASE WHEN $2 IN ('running', 'paused') AND $3 IN ('running', 'paused') THEN awaits_approval ELSE 0 END, work = CAST($7 AS TEXT),
    started_at = CAST($8 AS BIGINT), paused_at = CAST($9 AS BIGINT), held_s = $10, ended_at = CAST($11 AS BIGINT), matched = CAST($12 AS BIGINT),
    revision = revision + 1
WHERE id = $1 AND state = $2;

-- name: rollout_approve
UPDATE rollout SET approved_by = $2, approved_at = $3, awaits_approval = 0, revision = revision + 1
WHERE id = $1 AND approved_by IS NULL AND (state IN ('draft', 'scheduled') OR awaits_approval = 1);

-- name: rollout_await
-- Too many devices to begin, or to take more, without an approval.
UPDATE rollout SET awaits_approval = 1, matched = $2, revision = revision + 1
WHERE id = $1 AND state IN ('scheduled', 'running', 'paused') AND awaits_approval = 0 AND approved_by IS NULL;

-- name: rollout_work
UPDATE rollout SET work = CAST($2 AS TEXT) WHERE id = $1;

-- name: rollout_held
SELECT held_s FROM rollout WHERE id = $1;

-- name: rollout_phases
SELECT phase, size_unit, size_amount, success_percent, error_unit, error_amount, soak_s, deadline_s, opened_clock, opened_at, reached_clock, reached_at, expired, pardoned,
    waiting, in_flight, retrying, confirmed, failed, timed_out, cancelled, skipped
FROM rollout_phase WHERE rollout = $1 ORDER BY phase;

-- name: rollout_phase_insert
INSERT INTO rollout_phase (rollout, phase, size_unit, size_amount, success_percent, error_unit, error_amount, soak_s, deadline_s, expired, pardoned,
    waiting, in_flight, retrying, confirmed, failed, timed_out, cancelled, skipped)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

-- name: rollout_phase_clear
DELETE FROM rollout_phase WHERE rollout = $1;

-- name: rollout_phase_set
-- How far it is.
UPDATE rollout_phase SET opened_clock = CAST($3 AS BIGINT), reached_clock = CAST($4 AS BIGINT), expired = $5, pardoned = $6,
    opened_at = CAST($7 AS BIGINT), reached_at = CAST($8 AS BIGINT)
WHERE rollout = $1 AND phase = $2;

-- name: rollout_phase_count
-- Adds to the members in each state. Failures that are gone are not pardoned any more.
UPDATE rollout_phase SET waiting = waiting + $3, in_flight = in_flight + $4, retrying = retrying + $5, confirmed = confirmed + $6,
    failed = failed + $7, timed_out = timed_out + $8, cancelled = cancelled + $9, skipped = skipped + $10,
    pardoned = CASE WHEN pardoned > failed + $7 + retrying + $5 + timed_out + $8 THEN failed + $7 + retrying + $5 + timed_out + $8 ELSE pardoned END
WHERE rollout = $1 AND phase = $2;

-- name: rollout_windows
SELECT days, from_minute, to_minute, zone, tag FROM rollout_window WHERE rollout = $1 ORDER BY position;

-- name: rollout_window_insert
INSERT INTO rollout_window (rollout, position, days, from_minute, to_minute, zone, tag) VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: rollout_window_clear
DELETE FROM rollout_window WHERE rollout = $1;

-- name: rollout_member_insert
INSERT INTO rollout_member (rollout, device, phase, state, windows, due_clock, updated_at) VALUES ($1, $2, $3, 'waiting', $4, CAST($5 AS BIGINT), $6)
ON CONFLICT DO NOTHING;

-- name: rollout_member_get
SELECT device, phase, state, windows, deployment, due_clock, updated_at FROM rollout_member WHERE rollout = $1 AND device = $2;

-- name: rollout_member_move
UPDATE rollout_member SET state = $4, deployment = COALESCE(CAST($5 AS BIGINT), deployment), due_clock = CAST($6 AS BIGINT), updated_at = $7
WHERE rollout = $1 AND device = $2 AND state = $3;

-- name: rollout_member_windows
UPDATE rollout_member SET windows = $3 WHERE rollout = $1 AND device = $2;

-- name: rollout_member_offer
-- What an offer depends on, as it is now.
SELECT m.phase, m.state AS member, m.windows, o.state, o.phase AS open_phase, o.max_in_flight,
    (SELECT SUM(p.in_flight + p.retrying) FROM rollout_phase p WHERE p.rollout = o.id) AS in_flight
FROM rollout_member m JOIN rollout o ON o.id = m.rollout
WHERE m.rollout = $1 AND m.device = $2;

-- name: rollout_member_clock
SELECT o.paused_at, o.held_s, p.deadline_s FROM rollout o JOIN rollout_phase p ON p.rollout = o.id WHERE o.id = $1 AND p.phase = $2;

-- name: rollout_member_all
-- For the memory beside the registry.
SELECT device, phase, state, windows FROM rollout_member WHERE rollout = $1 ORDER BY device;

-- The pages of members of $4: $5 phase (0: any), $6 state.

-- name: rollout_member_list
-- sort: device = device
SELECT device, phase, state, windows, deployment, due_clock, updated_at FROM rollout_member
WHERE rollout = $4 AND {after} AND ($5 = 0 OR phase = $5)
ORDER BY {order} LIMIT $2;

-- name: rollout_member_list_state
-- sort: phase = phase, device
SELECT device, phase, state, windows, deployment, due_clock, updated_at FROM rollout_member
WHERE rollout = $4 AND state = $6 AND {after}
ORDER BY {order} LIMIT $2;

-- name: rollout_member_list_phase_state
-- sort: device = device
SELECT device, phase, state, windows, deployment, due_clock, updated_at FROM rollout_member
WHERE rollout = $4 AND state = $6 AND phase = $5 AND {after}
ORDER BY {order} LIMIT $2;

-- name: rollout_member_silent
-- Whose deadline is its phase's. Every id is above '': said so that the index by state is taken, not the whole rollout.
SELECT device, phase, state, windows, deployment, due_clock, updated_at FROM rollout_member
WHERE rollout = $1 AND state = $2 AND phase = $3 AND device > '' AND due_clock IS NULL
ORDER BY device LIMIT $4;

-- name: rollout_member_due
SELECT device, phase, state, windows, deployment, due_clock, updated_at FROM rollout_member
WHERE rollout = $1 AND due_clock IS NOT NULL AND due_clock <= $2
ORDER BY due_clock LIMIT $3;

-- The scans for members: a product's devices behind $2, $3 the limit.

-- name: rollout_scan
SELECT id FROM device WHERE product = $1 AND id > $2 ORDER BY id LIMIT $3;

-- name: rollout_scan_attributes
SELECT id, attributes FROM device WHERE product = $1 AND id > $2 ORDER BY id LIMIT $3;

-- name: rollout_scan_device
SELECT id, attributes FROM device WHERE id = $1;

-- name: rollout_scan_tags
SELECT device, tag FROM device_tag WHERE device >= $1 AND device <= $2 ORDER BY device, tag;
