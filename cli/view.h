/* Objects of the API as tables: which members are columns, how a value is written, and the walk over all pages of a list. */
#ifndef PAWL_CLI_VIEW_H
#define PAWL_CLI_VIEW_H

#include "cli/client.h"
#include "cli/table.h"
#include "common/json.h"

/* One column of a list, or one line of a single object. */
struct cli_column {
    const char *title;
    const char *field;                                              /* a member of the shape; its type says how it is written */
    const char *(*format)(struct arena *arena, const void *object); /* instead of field; NULL result: "-" */
    bool right;
    bool zero_is_none; /* 0 means that there is none */
};

struct cli_view {
    const struct json_shape *shape; /* open: a newer server may say more */
    const struct cli_column *list;
    size_t list_count;
    const struct cli_column *show; /* NULL: the list's columns, their titles in small letters */
    size_t show_count;
    const char *none; /* said to people when a list is empty */
    bool unpaged;     /* the list comes whole: its path takes no limit and no cursor */
};

/* "name=value" pairs for a query. */
struct cli_query {
    const char *name;
    const char *value; /* NULL: left out */
};

/* What every list that has pages is asked. */
struct cli_paging {
    const char *sort; /* a key, '-' before it: descending; NULL: the list's own order. The server judges it. */
    int64_t limit;    /* rows; 0: all */
};

/* The rows of its options. base: where the struct stands in the list's arguments; keys: as the contract has them; own: the order without --sort. */
#define CLI_PAGING_OPTIONS(base, keys, own) CLI_PAGING_SORT(base, keys, own), CLI_PAGING_LIMIT(base)
#define CLI_PAGING_SORT(base, keys, own)                                                                                                             \
    { "sort", 0, OPTION_TEXT, (base) + offsetof(struct cli_paging, sort), "KEY", "by " keys "; -KEY: descending [" own "]" }
#define CLI_PAGING_LIMIT(base)                                                                                                                       \
    { "limit", 0, OPTION_INT, (base) + offsetof(struct cli_paging, limit), "N", "at most N rows [all]" }

/* GETs path with the query, follows the cursor to the end (or to the limit; paging NULL: all, in the list's own order) and prints a table, or with
 * --json one document {items, next}. */
bool cli_view_list(struct cli *cli, const char *path, const struct cli_query *query, size_t query_count, const struct cli_paging *paging,
                   const struct cli_view *view, struct err *err) MUST_USE;

/* Prints one object; with --json the reply as it came. */
bool cli_view_show(struct cli *cli, const struct cli_reply *reply, const struct cli_view *view, struct err *err) MUST_USE;

/* The object for people, on standard error: what a question is about. */
bool cli_view_note(struct cli *cli, const struct cli_reply *reply, const struct cli_view *view, struct err *err) MUST_USE;

/* GETs path and shows it. */
bool cli_view_get(struct cli *cli, const char *path, const struct cli_view *view, struct err *err) MUST_USE;

/* Prints the rows: aligned under their titles on a terminal, else with tabs. */
bool cli_view_table(struct cli *cli, const struct cli_table *table, struct err *err) MUST_USE;

/* Prints a JSON document and a line feed: indented on a terminal, else as it came. */
bool cli_view_json(struct cli *cli, const char *json, size_t len, struct err *err) MUST_USE;

/* Appends "?a=b&c=d". */
void cli_view_query(struct buf *out, const struct cli_query *query, size_t count);

/* A path of segments, each percent-encoded: ("/api/v1/devices", id, "accept"), ended by NULL. NULL when the arena is full. */
const char *cli_view_path(struct arena *arena, const char *base, ...) __attribute__((sentinel)) MUST_USE;

/* Writes to cli->out; ERR_IO when that fails (a full disk, a closed pipe). */
bool cli_view_write(struct cli *cli, const struct buf *text, struct err *err) MUST_USE;

/* The texts joined by ", "; NULL when there are none. */
const char *cli_view_join(struct arena *arena, const struct json_texts *texts);

#endif
