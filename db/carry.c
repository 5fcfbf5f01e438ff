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
    const char *id, *state, *product, *hardware, *pin_origin, *floor_sha256;
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
    DB_COLUMN(DB_TEXT, struct device_row, pin_origin),
    DB_COLUMN(DB_INT, struct device_row, floor_sequence),
    DB_COLUMN(DB_INT, struct device_row, floor_security),
    DB_COLUMN(DB_INT, struct device_row, created_at),
};
static const struct db_shape device_shape = DB_SHAPE(struct device_row, device_columns);

/* Something by its name, with the time when it was taken back, the secret that it has, a secret and the time until which it is good, or a device's
 * key and who vouches for it. */
struct named_row {
    const char *name;
    const void *secret;
    size_t secret_len;
    const char *origin;
    int64_t time;
};

/* Each kind is a stretch of these. */
static const struct db_column named_columns[] = {
    DB_COLUMN(DB_INT, struct named_row, time),    DB_COLUMN(DB_TEXT, struct named_row, name),
    DB_COLUMN(DB_BLOB, struct named_row, secret), DB_COLUMN_AS(DB_LEN, struct named_row, secret_len, "secret"),
    DB_COLUMN(DB_TEXT, struct named_row, origin),
};

enum kind { ENDED, SECRET, SECRET_UNTIL, KEY };

static const struct db_shape named_shapes[] = {
    [ENDED] = {.columns = named_columns, .count = 2, .size = sizeof(struct named_row)},
    [SECRET] = {.columns = named_columns + 1, .count = 3, .size = sizeof(struct named_row)},
    [SECRET_UNTIL] = {.columns = named_columns, .count = 4, .size = sizeof(struct named_row)},
    [KEY] = {.columns = named_columns + 1, .count = 4, .size = sizeof(struct named_row)},
};

/* What is carried beside the devices' floors and states, in this order: from the old store by one statement, into the new one by another. */
static const struct part {
    enum db_query list, write;
    enum kind kind;
    size_t counter; /* where in struct db_carry what was changed is counted; 0: nowhere */
} parts[] = {
    {DB_QUERY_RESTORE_KEY_LIST, DB_QUERY_RESTORE_KEY, KEY, 0},
    {DB_QUERY_RESTORE_NEXT_KEY_LIST, DB_QUERY_RESTORE_NEXT_KEY, SECRET, 0},
    {DB_QUERY_RESTORE_CERTIFICATE_LIST, DB_QUERY_CERTIFICATE_REVOKE, ENDED, 0},
    {DB_QUERY_RESTORE_TOKEN_LIST, DB_QUERY_TOKEN_REVOKE, ENDED, offsetof(struct db_carry, tokens)},
    {DB_QUERY_RESTORE_SECRET_LIST, DB_QUERY_RESTORE_SECRET, SECRET_UNTIL, offsetof(struct db_carry, tokens)},
    {DB_QUERY_RESTORE_DDI_TOKEN_LIST, DB_QUERY_RESTORE_DDI_TOKEN, SECRET, 0},
    {DB_QUERY_RESTORE_CLAIM_LIST, DB_QUERY_CLAIM_REVOKE, ENDED, 0},
    {DB_QUERY_RESTORE_RELEASE_LIST, DB_QUERY_RESTORE_RELEASE, ENDED, offsetof(struct db_carry, releases)},
    {DB_QUERY_RESTORE_ROLLOUT_LIST, DB_QUERY_RESTORE_ROLLOUT, ENDED, 0},
};

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
    db_query_text(stmt, 10, row->pin_origin);
    if (!db_query_run(stmt, &changes, err))
        return false;
    *changed += changes;
    stmt = db_query_begin(tx, DB_QUERY_RESTORE_DEVICE_SEEN);
    db_query_text(stmt, 1, row->id);
    return db_query_run(stmt, NULL, err);
}

static bool carry_devices(struct db_conn *tx, struct db_carry *carry, struct err *err) {
    char after[DB_ID_SIZE] = "";

    for (bool more = true; more;) {
        CLEANUP(arena_clear) struct arena arena;
        struct db_stmt *stmt = db_query_begin(carry->from, DB_QUERY_RESTORE_DEVICE_LIST);
        const struct device_row *rows;
        size_t count;

        arena_init(&arena, 4 << 20);
        db_query_text(stmt, 1, after);
        db_query_int(stmt, 2, PAGE + 1);
        if (!db_query_page(stmt, &device_shape, PAGE, &arena, &rows, &count, &more, err))
            return false;
        for (size_t i = 0; i < count; i++)
            if (!write_device(tx, &rows[i], &carry->devices, err))
                return false;
        if (more)
            snprintf(after, sizeof after, "%s", rows[count - 1].id);
    }
    return true;
}

static bool write_named(struct db_conn *tx, const struct part *part, const struct named_row *row, struct db_carry *carry, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, part->write);
    int64_t changes;

    db_query_text(stmt, 1, row->name);
    if (part->kind != ENDED)
        db_query_blob(stmt, 2, row->secret_len > 0 ? row->secret : NULL, row->secret_len);
    if (part->kind == KEY)
        db_query_text(stmt, 3, row->origin);
    else if (part->kind != SECRET)
        db_query_int(stmt, part->kind == ENDED ? 2 : 3, row->time);
    if (!db_query_run(stmt, &changes, err))
        return false;
    if (part->counter)
        *(int64_t *)((char *)carry + part->counter) += changes;
    return true;
}

static bool carry_part(struct db_conn *tx, const struct part *part, struct db_carry *carry, struct err *err) {
    CLEANUP(arena_clear) struct arena after_arena;
    const char *after = "";

    arena_init(&after_arena, 1 << 20);
    for (bool more = true; more;) {
        CLEANUP(arena_clear) struct arena arena;
        struct db_stmt *stmt = db_query_begin(carry->from, part->list);
        const struct named_row *rows;
        size_t count;

        arena_init(&arena, 1 << 20);
        db_query_text(stmt, 1, after);
        db_query_int(stmt, 2, PAGE + 1);
        if (!db_query_page(stmt, &named_shapes[part->kind], PAGE, &arena, &rows, &count, &more, err))
            return false;
        for (size_t i = 0; i < count; i++)
            if (!write_named(tx, part, &rows[i], carry, err))
                return false;
        after = more ? arena_strdup(&after_arena, rows[count - 1].name) : after;
        if (!after)
            return err_no_memory(err);
    }
    return true;
}

static bool carry_all(struct db_conn *tx, struct db_carry *carry, struct err *err) {
    if (!carry_devices(tx, carry, err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!carry_part(tx, &parts[i], carry, err))
            return false;
    return true;
}

bool db_carry_run(struct db_conn *tx, void *arg, struct err *err) {
    struct db_carry *carry = arg;
    char detail[256], made_at[CLOCK_RFC3339_SIZE];

    if (carry->from && !carry_all(tx, carry, err))
        return false;
    clock_rfc3339(carry->manifest->created_at, made_at);
    snprintf(detail, sizeof detail, "{\"backup_of\":\"%s\",\"devices_carried\":%lld,\"tokens_carried\":%lld,\"releases_carried\":%lld}", made_at,
             (long long)carry->devices, (long long)carry->tokens, (long long)carry->releases);
    const struct chain_row row = {
        .time = carry->now, .actor = "system", .action = "store.restore", .object = "store", .detail = detail, .request_id = ""};
    return db_audit_append(tx, &row, err) && db_event_insert(tx, carry->now, "restored", NULL, detail, err);
}
