#include "db/sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "common/hex.h"
#include "fleet/enrol.h"
#include "fleet/offer.h"

struct db_stmt *db_query_begin(struct db_conn *conn, enum db_query query) {
    struct db_stmt *stmt = &conn->stmts[query];

    sqlite3_reset(stmt->handle);
    sqlite3_clear_bindings(stmt->handle);
    stmt->failed = SQLITE_OK;
    stmt->hint = 0;
    return stmt;
}

static void bound(struct db_stmt *stmt, int code) {
    if (code != SQLITE_OK && stmt->failed == SQLITE_OK)
        stmt->failed = code;
}

static int param(struct db_stmt *stmt, int number) {
    return number >= 1 && number <= DB_SQLITE_MAX_PARAMS ? stmt->params[number] : 0;
}

void db_query_int(struct db_stmt *stmt, int number, int64_t value) {
    bound(stmt, sqlite3_bind_int64(stmt->handle, param(stmt, number), value));
}

void db_query_null(struct db_stmt *stmt, int number) {
    bound(stmt, sqlite3_bind_null(stmt->handle, param(stmt, number)));
}

/* The caller's text must live until the statement has run; every caller binds and runs in one breath. */
void db_query_text(struct db_stmt *stmt, int number, const char *text) {
    bound(stmt, text ? sqlite3_bind_text(stmt->handle, param(stmt, number), text, -1, SQLITE_STATIC)
                     : sqlite3_bind_null(stmt->handle, param(stmt, number)));
}

void db_query_opt_text(struct db_stmt *stmt, int number, const char *text) {
    db_query_text(stmt, number, text && text[0] ? text : NULL);
}

void db_query_opt_int(struct db_stmt *stmt, int number, bool known, int64_t value) {
    if (known)
        db_query_int(stmt, number, value);
    else
        db_query_null(stmt, number);
}

void db_query_blob(struct db_stmt *stmt, int number, const void *data, size_t len) {
    bound(stmt, data ? sqlite3_bind_blob64(stmt->handle, param(stmt, number), data, len, SQLITE_STATIC)
                     : sqlite3_bind_null(stmt->handle, param(stmt, number)));
}

bool db_query_next(struct db_stmt *stmt, bool *ret_row, struct err *err) {
    const char *name = db_query_name[stmt->query];
    int code;

    if (stmt->failed != SQLITE_OK)
        return err_set(err, stmt->failed == SQLITE_NOMEM ? ERR_NO_MEMORY : ERR_INTERNAL, "database: %s: a parameter was refused: %s", name,
                       sqlite3_errstr(stmt->failed));
    stmt->hint = 0;
    code = sqlite3_step(stmt->handle);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        db_sqlite_error(stmt->conn->handle, name, err);
        sqlite3_reset(stmt->handle);
        return false;
    }
    if (code == SQLITE_DONE)
        sqlite3_reset(stmt->handle);
    *ret_row = code == SQLITE_ROW;
    return true;
}

void db_query_end(struct db_stmt *stmt) {
    sqlite3_reset(stmt->handle);
}

/* Columns are mostly asked for in the order they come: the search starts behind the last hit. -1: no such column. */
static int find_column(struct db_stmt *stmt, const char *name) {
    for (int i = 0; i < stmt->columns; i++) {
        int index = (stmt->hint + i) % stmt->columns;

        if (strcmp(stmt->names[index], name) == 0) {
            stmt->hint = index + 1;
            return index;
        }
    }
    return -1;
}

int64_t db_query_column_int(struct db_stmt *stmt, const char *name) {
    int index = find_column(stmt, name);

    return index < 0 ? 0 : sqlite3_column_int64(stmt->handle, index);
}

static bool bad_value(struct db_stmt *stmt, const struct db_column *column, struct err *err) {
    return err_set(err, ERR_IO, "database: %s: column %s holds what it should not", db_query_name[stmt->query], column->name);
}

static bool read_text(struct db_stmt *stmt, int index, const struct db_column *column, struct arena *arena, void *place, struct err *err) {
    const char *text = (const char *)sqlite3_column_text(stmt->handle, index);
    size_t len = (size_t)sqlite3_column_bytes(stmt->handle, index);

    switch (column->type) {
    case DB_CHARS:
        if (len >= column->size)
            return bad_value(stmt, column, err);
        if (text)
            memcpy(place, text, len);
        ((char *)place)[len] = '\0';
        return true;
    case DB_HEX:
        if (!text) {
            memset(place, 0, column->size);
            return true;
        }
        return (len == 2 * column->size && hex_decode(text, len, place)) || bad_value(stmt, column, err);
    case DB_NAME:
        return (text && column->parse(text, place)) || bad_value(stmt, column, err);
    default:
        text = text && len > 0 ? arena_strndup(arena, text, len) : "";
        memcpy(place, &text, sizeof text);
        return text || err_no_memory(err);
    }
}

static bool read_blob(struct db_stmt *stmt, int index, const struct db_column *column, struct arena *arena, void *place, struct err *err) {
    const void *data = sqlite3_column_blob(stmt->handle, index);
    size_t len = (size_t)sqlite3_column_bytes(stmt->handle, index);

    if (column->type == DB_FIXED) {
        if (data && len != column->size)
            return bad_value(stmt, column, err);
        memset(place, 0, column->size);
        if (data)
            memcpy(place, data, len);
        return true;
    }
    data = data && len > 0 ? arena_memdup(arena, data, len) : "";
    memcpy(place, &data, sizeof data);
    return data || err_no_memory(err);
}

static bool read_column(struct db_stmt *stmt, const struct db_column *column, struct arena *arena, void *place, struct err *err) {
    int index = find_column(stmt, column->name);
    bool is_null;

    if (index < 0)
        return err_set(err, ERR_INTERNAL, "database: %s has no column %s", db_query_name[stmt->query], column->name);
    is_null = sqlite3_column_type(stmt->handle, index) == SQLITE_NULL;
    switch (column->type) {
    case DB_INT:
        *(int64_t *)place = sqlite3_column_int64(stmt->handle, index);
        return true;
    case DB_INT_OR_LESS:
        *(int64_t *)place = is_null ? -1 : sqlite3_column_int64(stmt->handle, index);
        return true;
    case DB_BOOL:
        *(bool *)place = sqlite3_column_int64(stmt->handle, index) != 0;
        return true;
    case DB_KNOWN:
        *(bool *)place = !is_null;
        stmt->hint = index; /* the value itself is asked for next */
        return true;
    case DB_LEN:
        *(size_t *)place = (size_t)sqlite3_column_bytes(stmt->handle, index);
        return true;
    case DB_FIXED:
    case DB_BLOB:
        return read_blob(stmt, index, column, arena, place, err);
    default:
        return read_text(stmt, index, column, arena, place, err);
    }
}

bool db_query_read(struct db_stmt *stmt, const struct db_shape *shape, struct arena *arena, void *ret_object, struct err *err) {
    for (size_t i = 0; i < shape->count; i++) {
        const struct db_column *column = &shape->columns[i];

        if (!read_column(stmt, column, arena, (char *)ret_object + column->offset, err)) {
            db_query_end(stmt); /* an open one would hold a reader to its moment, and the log with it */
            return false;
        }
    }
    return true;
}

bool db_query_run(struct db_stmt *stmt, int64_t *ret_changes, struct err *err) {
    bool row = true;

    while (row)
        if (!db_query_next(stmt, &row, err))
            return false;
    if (ret_changes)
        *ret_changes = sqlite3_changes64(stmt->conn->handle);
    return true;
}

bool db_query_purge(struct db_stmt *stmt, int64_t before, size_t *ret_removed, struct err *err) {
    int64_t changes;

    db_query_int(stmt, 1, before);
    if (!db_query_run(stmt, &changes, err))
        return false;
    *ret_removed = (size_t)changes;
    return true;
}

/* Nothing more is wanted of it. One that writes is run to its end, where the engine looks at its constraints. */
static bool leave(struct db_stmt *stmt, struct err *err) {
    if (!sqlite3_stmt_readonly(stmt->handle))
        return db_query_run(stmt, NULL, err);
    db_query_end(stmt);
    return true;
}

bool db_query_maybe(struct db_stmt *stmt, const struct db_shape *shape, struct arena *arena, void *ret_object, bool *ret_row, struct err *err) {
    if (!db_query_next(stmt, ret_row, err))
        return false;
    return !*ret_row || (db_query_read(stmt, shape, arena, ret_object, err) && leave(stmt, err));
}

bool db_query_number(struct db_stmt *stmt, const char *column, int64_t *ret_number, struct err *err) {
    bool row;

    if (!db_query_next(stmt, &row, err))
        return false;
    if (!row)
        return true;
    *ret_number = db_query_column_int(stmt, column);
    return leave(stmt, err);
}

bool db_query_one(struct db_stmt *stmt, const struct db_shape *shape, struct arena *arena, void *ret_object, const char *what, const char *which,
                  struct err *err) {
    bool row;

    if (!db_query_next(stmt, &row, err))
        return false;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "%s '%s' does not exist", what, which);
    memset(ret_object, 0, shape->size);
    return db_query_read(stmt, shape, arena, ret_object, err) && leave(stmt, err);
}

/* One more item in a growing array on the heap; NULL when the machine has no memory. */
static void *grow(void *items, size_t size, size_t count, size_t *capacity) {
    size_t wanted = *capacity ? *capacity * 2 : 16;

    if (count < *capacity)
        return items;
    *capacity = wanted;
    return reallocarray(items, wanted, size);
}

static bool read_page(struct db_stmt *stmt, const struct db_shape *shape, size_t limit, struct arena *arena, char **items, size_t *count, bool *more,
                      struct err *err) {
    size_t capacity = 0;
    bool row;

    for (;;) {
        char *grown;

        if (!db_query_next(stmt, &row, err))
            return false;
        if (!row)
            return true;
        if (*count == limit) {
            *more = true;
            return true;
        }
        grown = grow(*items, shape->size, *count, &capacity);
        if (!grown)
            return err_no_memory(err);
        *items = grown;
        memset(grown + *count * shape->size, 0, shape->size);
        if (!db_query_read(stmt, shape, arena, grown + *count * shape->size, err))
            return false;
        (*count)++;
    }
}

bool db_query_page(struct db_stmt *stmt, const struct db_shape *shape, size_t limit, struct arena *arena, void *ret_items, size_t *ret_count,
                   bool *ret_more, struct err *err) {
    char *items = NULL;
    size_t count = 0;
    bool more = false;
    void *kept = NULL;
    bool ok = read_page(stmt, shape, limit, arena, &items, &count, &more, err);

    db_query_end(stmt);
    if (ok && count > 0) {
        kept = arena_memdup(arena, items, count * shape->size);
        ok = kept || err_no_memory(err);
    }
    free(items);
    if (!ok)
        return false;
    memcpy(ret_items, &kept, sizeof kept);
    *ret_count = count;
    if (ret_more)
        *ret_more = more;
    return true;
}

bool db_query_texts(struct db_stmt *stmt, struct arena *arena, struct db_texts *ret_texts, struct err *err) {
    struct db_column column = {.name = stmt->names[0], .type = DB_TEXT, .offset = 0, .size = sizeof(char *)};
    struct db_shape shape = {.columns = &column, .count = 1, .size = sizeof(char *)};

    return db_query_page(stmt, &shape, SIZE_MAX, arena, &ret_texts->items, &ret_texts->count, NULL, err);
}

bool db_query_parse_device_state(const char *name, void *ret_state) {
    return fleet_device_state_parse(name, ret_state);
}

bool db_query_parse_pin_origin(const char *name, void *ret_origin) {
    return fleet_pin_origin_parse(name, ret_origin);
}

bool db_query_parse_deployment_state(const char *name, void *ret_state) {
    return fleet_deployment_state_parse(name, ret_state);
}

bool db_query_parse_report(const char *name, void *ret_event) {
    return fleet_event_parse_report(name, ret_event);
}

bool db_query_parse_policy(const char *name, void *ret_policy) {
    return fleet_policy_parse(name, ret_policy);
}

bool db_query_parse_member_state(const char *name, void *ret_state) {
    return fleet_member_state_parse(name, ret_state);
}
