#include "server/checkpoints.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/hex.h"
#include "common/log.h"
#include "db/checkpoint.h"
#include "trust/checkpoint.h"

enum { MAX_IN_ONE_JOB = 64 }; /* signatures: a few ms of the writer's time */

static bool make_one(struct db_conn *tx, struct server_checkpoints *state, int64_t seq, struct err *err) {
    struct checkpoint *made = &state->made[state->made_count];
    struct chain_row row;
    if (!db_checkpoint_row(tx, seq, &row, err))
        return false;
    *made = (struct checkpoint){.seq = row.seq, .time = clock_now()};
    memcpy(made->hash, row.hash, sizeof(made->hash));
    if (!checkpoint_sign(made, state->key, err))
        return false;
    struct db_checkpoint stored = {
        .seq = made->seq, .time = made->time, .key_id = made->key_id, .signature = made->signature.bytes, .signature_len = made->signature.len};
    memcpy(stored.hash, made->hash, sizeof(stored.hash));
    state->made_count++;
    return db_checkpoint_insert(tx, &stored, err);
}

/* One for each hundred rows, and the head when that is asked for. */
static bool make(struct db_conn *tx, void *arg, struct err *err) {
    struct server_checkpoints *state = arg;
    struct arena arena CLEANUP(arena_clear);
    struct db_checkpoint last;
    struct chain_row head;
    arena_init(&arena, 65536);
    state->made_count = 0;
    if (!db_checkpoint_last(tx, &arena, &last, err) || !db_checkpoint_row(tx, 0, &head, err))
        return false;
    int64_t seq = last.seq;
    for (size_t i = 0; i < MAX_IN_ONE_JOB && seq / CHECKPOINTS_ROWS < head.seq / CHECKPOINTS_ROWS; i++) {
        seq = (seq / CHECKPOINTS_ROWS + 1) * CHECKPOINTS_ROWS;
        if (!make_one(tx, state, seq, err))
            return false;
    }
    bool whole = state->whole && head.seq > seq && seq / CHECKPOINTS_ROWS == head.seq / CHECKPOINTS_ROWS;
    return !whole || make_one(tx, state, head.seq, err);
}

/* The log is a place of its own: whoever has it can tell a store that was put back. */
static void tell(const struct checkpoint *made) {
    char seq[24], hash[SHA256_HEX_SIZE], time[CLOCK_RFC3339_SIZE], signature[2 * KEY_SIGNATURE_MAX + 1];
    snprintf(seq, sizeof(seq), "%lld", (long long)made->seq);
    hex_encode(made->hash, sizeof(made->hash), hash);
    clock_rfc3339(made->time, time);
    hex_encode(made->signature.bytes, made->signature.len, signature);
    log_event(LOG_INFO, "audit checkpoint", "seq", seq, "hash", hash, "signed", time, "key", made->key_id, "signature", signature, (char *)NULL);
}

static void made(void *arg, bool ok, const struct err *err) {
    struct server_checkpoints *state = arg;
    for (size_t i = 0; ok && i < state->made_count; i++)
        tell(&state->made[i]);
    if (!ok)
        log_err(LOG_ERROR, "the audit's checkpoint could not be made", err);
    atomic_store(&state->busy, false);
}

static bool read_state(struct server *server, int64_t *ret_covered, int64_t *ret_head, struct err *err) {
    struct arena arena CLEANUP(arena_clear);
    struct db_checkpoint last;
    struct chain_row head;
    arena_init(&arena, 65536);
    if (!db_checkpoint_last(server->main_reader, &arena, &last, err) || !db_checkpoint_row(server->main_reader, 0, &head, err))
        return false;
    *ret_covered = last.seq;
    *ret_head = head.seq;
    return true;
}

void checkpoints_run(struct server *server, int64_t mono_ms) {
    struct server_checkpoints *state = &server->checkpoints;
    int64_t covered, head;
    struct err err;
    if (atomic_load(&state->busy))
        return;
    if (!read_state(server, &covered, &head, &err)) {
        log_err(LOG_WARN, "the audit's checkpoints cannot be read", &err);
        return;
    }
    if (head <= covered) {
        state->waiting_since_ms = 0;
        return;
    }
    if (state->waiting_since_ms == 0 || state->waiting_covered != covered) {
        state->waiting_since_ms = mono_ms;
        state->waiting_covered = covered;
    }
    state->whole = mono_ms - state->waiting_since_ms >= server->config.trust.audit_interval * 1000;
    if (!state->whole && head / CHECKPOINTS_ROWS == covered / CHECKPOINTS_ROWS)
        return;
    const struct db_job job = {.run = make, .done = made, .arg = state};
    atomic_store(&state->busy, true);
    if (!db_submit(server->db, &job, &err)) {
        atomic_store(&state->busy, false);
        log_err(LOG_WARN, "the writer takes no work", &err);
    }
}

void checkpoints_end(struct server *server) {
    struct server_checkpoints *state = &server->checkpoints;
    struct err err;
    while (atomic_load(&state->busy))
        clock_sleep_ms(1);
    state->whole = true;
    atomic_store(&state->busy, true);
    bool ok = db_write(server->db, make, state, &err);
    made(state, ok, &err);
}
