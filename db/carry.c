#include "db/carry.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "db/audit.h"
#include "db/event.h"
#include "db/query.h"
#include "db/token.h"

enum { PAGE = 500 };

struct device_row {
    const char *id, *state, *product, *hardware, *floor_sha256;
    const void *pin_current;
    size_t pin_len;
    int64_t floor_sequence, floor_security, created_at;
};

static const struct db_column device_columns[] = {
    DB_COLUMN(DB_TEXT, struct device_row, id),
    DB_COLUMN(DB_TEXT, struct device_row, state),
    DB_COLUMN(DB_TEXT, struct device_row, product),
    DB_COLUMN(DB_TEXT, struct device_row, hardware),
    DB_COLUMN(DB_TEXT, struct device_row, floor_sha256),
    DB_COLUMN(DB_BLOB, struct device_row, pin_current),
    DB_COLUMN_AS(DB_LEN, struct device_row, pin_len, "pin_current"),
    DB_COLUMN(DB_INT, struct device_row, floor_sequence),
    DB_COLUMN(DB_INT, struct device_row, floor_security),
    DB_COLUMN(DB_INT, struct device_row, created_at),
};
static const struct db_shape device_shape = DB_SHAPE(struct device_row, device_columns);

/* What was taken back, and when; or a secret as it is, and until when. */
struct ended_row {
    const char *name;
    int64_t time;
    const void *secret;
    size_t secret_len;
};

static const struct db_column ended_columns[] = {DB_COLUMN(DB_TEXT, struct ended_row, name), DB_COLUMN(DB_INT, struct ended_row, time)};
static const struct db_shape ended_shape = DB_SHAPE(struct ended_row, ended_columns);

static const struct db_column secret_columns[] = {
    DB_COLUMN(DB_TEXT, struct ended_row, name),
    DB_COLUMN(DB_INT, struct ended_row, time),
    DB_COLUMN(DB_BLOB, struct ended_row, secret),
    DB_COLUMN_AS(DB_LEN, struct ended_row, secret_len, "secret"),
};
static const struct db_shape secret_shape = DB_SHAPE(struct ended_row, secret_columns);

static bool write_device(struct db_conn *tx, const struct device_row *row, int64_t *changed, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_RESTORE_DEVICE);
    int64_t changes;
    db_query_text(stmt, 1, row->id);
    db_query_text(stmt, 2, row->state);
    db_query_opt_text(stmt, 3, row->product);
    db_query_opt_text(stmt, 4, row->hardware);
    db_query_int(stmt, 5, row->floor_sequence);
    db_query_int(stmt, 6, row->floor_security);
    db_query_opt_text(stmt, 7, row->floor_sha256);
    db_query_int(stmt, 8, row->created_at);
    db_query_blob(stmt, 9, row->pin_len > 0 ? row->pin_current : NULL, row->pin_len);
    if (!db_query_run(stmt, &changes, err))
        return false;
    *changed += changes;
    stmt = db_query_begin(tx, DB_QUERY_RESTORE_DEVICE_SEEN);
    db_query_text(stmt, 1, row->id);
    return db_query_run(stmt, NULL, err);
}

static bool write_ended(struct db_conn *tx, enum db_query query, const struct ended_row *row, bool secrets, int64_t *changed, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, query);
    int64_t changes;
    db_query_text(stmt, 1, row->name);
    if (secrets)
        db_query_blob(stmt, 2, row->secret_len > 0 ? row->secret : NULL, row->secret_len);
    db_query_int(stmt, secrets ? 3 : 2, row->time);
    if (!db_query_run(stmt, &changes, err))
        return false;
    *changed += changes;
    return true;
}

static bool carry_devices(struct db_conn *tx, struct db_carry *carry, struct err *err) {
    char after[DB_ID_SIZE] = "";
    for (bool more = true; more;) {
        struct arena arena CLEANUP(arena_clear);
        struct db_stmt *stmt = db_query_begin(carry->from, DB_QUERY_RESTORE_DEVICE_LIST);
        void *items;
        size_t count;
        arena_init(&arena, 4 << 20);
        db_query_text(stmt, 1, after);
        db_query_int(stmt, 2, PAGE + 1);
        if (!db_query_page(stmt, &device_shape, PAGE, &arena, &items, &count, &more, err))
            return false;
        const struct device_row *rows = items;
        for (size_t i = 0; i < count; i++)
            if (!write_device(tx, &rows[i], &carry->devices, err))
                return false;
        if (more)
            snprintf(after, sizeof(after), "%s", rows[count - 1].id);
    }
    return true;
}

/* Rows of `list` in the old store, each given to `write` in the new one. */
static bool carry_ended(struct db_conn *tx, const struct db_carry *carry, enum db_query list, enum db_query write, bool secrets, int64_t *changed,
                        struct err *err) {
    struct arena after_arena CLEANUP(arena_clear);
    const char *after = "";
    arena_init(&after_arena, 1 << 20);
    for (bool more = true; more;) {
        struct arena arena CLEANUP(arena_clear);
        struct db_stmt *stmt = db_query_begin(carry->from, list);
        void *items;
        size_t count;
        arena_init(&arena, 1 << 20);
        db_query_text(stmt, 1, after);
        db_query_int(stmt, 2, PAGE + 1);
        if (!db_query_page(stmt, secrets ? &secret_shape : &ended_shape, PAGE, &arena, &items, &count, &more, err))
            return false;
        const struct ended_row *rows = items;
        for (size_t i = 0; i < count; i++)
            if (!write_ended(tx, write, &rows[i], secrets, changed, err))
                return false;
        after = more ? arena_strdup(&after_arena, rows[count - 1].name) : after;
        if (after == NULL)
            return err_no_memory(err);
    }
    return true;
}

/* All of it but the devices' floors and states, which come first. */
static bool carry_rest(struct db_conn *tx, struct db_carry *carry, struct err *err) {
    int64_t uncounted = 0;
    const struct {
        enum db_query list, write;
        bool secrets;
        int64_t *changed;
    } parts[] = {
        {DB_QUERY_RESTORE_KEY_LIST, DB_QUERY_RESTORE_KEY, true, &uncounted},
        {DB_QUERY_RESTORE_NEXT_KEY_LIST, DB_QUERY_RESTORE_NEXT_KEY, true, &uncounted},
        {DB_QUERY_RESTORE_CERTIFICATE_LIST, DB_QUERY_CERTIFICATE_REVOKE, false, &uncounted},
        {DB_QUERY_RESTORE_TOKEN_LIST, DB_QUERY_TOKEN_REVOKE, false, &carry->tokens},
        {DB_QUERY_RESTORE_SECRET_LIST, DB_QUERY_RESTORE_SECRET, true, &carry->tokens},
        {DB_QUERY_RESTORE_DDI_TOKEN_LIST, DB_QUERY_RESTORE_DDI_TOKEN, true, &uncounted},
        {DB_QUERY_RESTORE_CLAIM_LIST, DB_QUERY_CLAIM_REVOKE, false, &carry->claims},
        {DB_QUERY_RESTORE_RELEASE_LIST, DB_QUERY_RESTORE_RELEASE, false, &carry->releases},
        {DB_QUERY_RESTORE_ROLLOUT_LIST, DB_QUERY_RESTORE_ROLLOUT, false, &uncounted},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!carry_ended(tx, carry, parts[i].list, parts[i].write, parts[i].secrets, parts[i].changed, err))
            return false;
    return true;
}

bool db_carry_run(struct db_conn *tx, void *arg, struct err *err) {
    struct db_carry *carry = arg;
    char detail[256], made_at[CLOCK_RFC3339_SIZE];
    if (carry->from != NULL && (!carry_devices(tx, carry, err) || !carry_rest(tx, carry, err)))
        return false;
    clock_rfc3339(carry->manifest->created_at, made_at);
    snprintf(detail, sizeof(detail), "{\"backup_of\":\"%s\",\"devices_carried\":%lld,\"tokens_carried\":%lld,\"releases_carried\":%lld}", made_at,
             (long long)carry->devices, (long long)carry->tokens, (long long)carry->releases);
    const struct chain_row row = {
        .time = carry->now, .actor = "system", .action = "store.restore", .object = "store", .detail = detail, .request_id = ""};
    return db_audit_append(tx, &row, err) && db_event_insert(tx, carry->now, "restored", NULL, detail, err);
}
