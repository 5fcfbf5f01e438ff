/* Statements, as the files of db/ use them: prepared at open, parameters $1, $2 …, columns read by name. Implemented by the engine
 * (db/sqlite_query.c). Use: db_query_begin, bind, then one of run, maybe, number, one, page,
 * texts, or next … end. A failed bind is remembered and reported by the step. */
#ifndef PAWL_DB_QUERY_H
#define PAWL_DB_QUERY_H

#include "db/db.h"
#include "db/sql.h"

struct db_stmt;

struct db_stmt *db_query_begin(struct db_conn *conn, enum db_query query);

void db_query_int(struct db_stmt *stmt, int number, int64_t value);
void db_query_null(struct db_stmt *stmt, int number);
void db_query_text(struct db_stmt *stmt, int number, const char *text);     /* NULL is NULL */
void db_query_opt_text(struct db_stmt *stmt, int number, const char *text); /* NULL and "" are NULL */
void db_query_opt_int(struct db_stmt *stmt, int number, bool known, int64_t value);
void db_query_blob(struct db_stmt *stmt, int number, const void *data, size_t len); /* data NULL is NULL */

/* How a column comes into a struct. NULL in the database gives the zero of the type, and "" for texts. */
enum db_column_type {
    DB_INT,         /* int64_t */
    DB_INT_OR_LESS, /* int64_t; NULL is -1 */
    DB_BOOL,        /* bool */
    DB_KNOWN,       /* bool: the column is not NULL */
    DB_TEXT,        /* const char *, in the arena */
    DB_CHARS,       /* char[size] */
    DB_FIXED,       /* uint8_t[size]; another length is ERR_IO */
    DB_HEX,         /* uint8_t[size] from lower-case hex */
    DB_BLOB,        /* const void *, in the arena */
    DB_LEN,         /* size_t: length of the BLOB */
    DB_NAME,        /* an enum, by .parse */
};

struct db_column {
    const char *name;
    enum db_column_type type;
    size_t offset;
    size_t size;
    bool (*parse)(const char *name, void *ret_value);
};

struct db_shape {
    const struct db_column *columns;
    size_t count;
    size_t size; /* of the struct */
};

#define DB_COLUMN(kind, object, member)                                                                                                              \
    { .name = #member, .type = (kind), .offset = offsetof(object, member), .size = sizeof(((object *)NULL)->member) }
#define DB_COLUMN_AS(kind, object, member, column)                                                                                                   \
    { .name = (column), .type = (kind), .offset = offsetof(object, member), .size = sizeof(((object *)NULL)->member) }
#define DB_COLUMN_NAME(object, member, parser)                                                                                                       \
    { .name = #member, .type = DB_NAME, .offset = offsetof(object, member), .parse = (parser) }
#define DB_SHAPE(object, table)                                                                                                                      \
    { .columns = (table), .count = ARRAY_LEN(table), .size = sizeof(object) }

/* The next row: *ret_row false at the end. After it, db_query_read() as often as wished; a read that fails ends the statement. db_query_end() when
 * stopping before the end. */
bool db_query_next(struct db_stmt *stmt, bool *ret_row, struct err *err) MUST_USE;
void db_query_end(struct db_stmt *stmt);
bool db_query_read(struct db_stmt *stmt, const struct db_shape *shape, struct arena *arena, void *ret_object, struct err *err) MUST_USE;
int64_t db_query_column_int(struct db_stmt *stmt, const char *name);

/* Runs a statement whose rows do not matter. ret_changes (may be NULL): rows changed. ERR_CONFLICT for a broken constraint. */
bool db_query_run(struct db_stmt *stmt, int64_t *ret_changes, struct err *err) MUST_USE;

/* Runs a statement whose $1 is a time; *ret_removed: rows that were older. */
bool db_query_purge(struct db_stmt *stmt, int64_t before, size_t *ret_removed, struct err *err) MUST_USE;

/* The first row, if there is one: *ret_row false leaves *ret_object as it was. Reads only the columns of the shape. */
bool db_query_maybe(struct db_stmt *stmt, const struct db_shape *shape, struct arena *arena, void *ret_object, bool *ret_row,
                    struct err *err) MUST_USE;

/* One column of the first row, NULL is 0; without a row *ret_number stays as it was. */
bool db_query_number(struct db_stmt *stmt, const char *column, int64_t *ret_number, struct err *err) MUST_USE;

/* Exactly one row, or ERR_NOT_FOUND "<what> '<which>'". */
bool db_query_one(struct db_stmt *stmt, const struct db_shape *shape, struct arena *arena, void *ret_object, const char *what, const char *which,
                  struct err *err) MUST_USE;

/* Up to limit rows, contiguous, in the arena. ret_items: of a pointer to the shape's struct; NULL for no rows. ret_more (may be NULL): there was one
 * more (the statement must have been given limit + 1). */
bool db_query_page(struct db_stmt *stmt, const struct db_shape *shape, size_t limit, struct arena *arena, void *ret_items, size_t *ret_count,
                   bool *ret_more, struct err *err) MUST_USE;

/* One column of texts. */
bool db_query_texts(struct db_stmt *stmt, struct arena *arena, struct db_texts *ret_texts, struct err *err) MUST_USE;

/* The parsers that DB_COLUMN_NAME takes. */
bool db_query_parse_device_state(const char *name, void *ret_state);
bool db_query_parse_pin_origin(const char *name, void *ret_origin);
bool db_query_parse_deployment_state(const char *name, void *ret_state);
bool db_query_parse_report(const char *name, void *ret_event);
bool db_query_parse_policy(const char *name, void *ret_policy);
bool db_query_parse_member_state(const char *name, void *ret_state);

#endif
