#include "cli/view.h"

#include <string.h>

#include "common/clock.h"
#include "common/text.h"

enum { PAGE_ITEMS = 1000, OUT_MAX_BYTES = 256 << 20, PATH_MAX_BYTES = 4096 };

/* One page, its items as text; each item is read by the view's shape after that. */
struct page {
    const char *items;
    const char *next;
};

static const struct json_field page_fields[] = {
    JSON_FIELD(struct page, items, JSON_RAW, JSON_REQUIRED, .max = CLI_REPLY_MAX_BYTES),
    JSON_FIELD(struct page, next, JSON_TEXT, JSON_NULLABLE),
};
static const struct json_shape page_shape = JSON_SHAPE_OPEN(struct page, page_fields);

const char *cli_view_path(struct arena *arena, const char *base, ...) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX_BYTES);
    buf_text(&path, base);
    va_list segments;
    va_start(segments, base);
    for (const char *segment = va_arg(segments, const char *); segment != NULL; segment = va_arg(segments, const char *)) {
        buf_byte(&path, '/');
        cli_client_encode_segment(&path, segment);
    }
    va_end(segments);
    return path.failed != ERR_NONE ? NULL : arena_strndup(arena, path.data, path.len);
}

void cli_view_query(struct buf *out, const struct cli_query *query, size_t count) {
    char mark = '?';
    for (size_t i = 0; i < count; i++) {
        if (query[i].value == NULL)
            continue;
        buf_byte(out, mark);
        buf_text(out, query[i].name);
        buf_byte(out, '=');
        cli_client_encode_value(out, query[i].value);
        mark = '&';
    }
}

const char *cli_view_join(struct arena *arena, const struct json_texts *texts) {
    const char *joined = NULL;
    for (size_t i = 0; i < texts->count; i++)
        joined = joined == NULL ? texts->items[i] : arena_printf(arena, "%s, %s", joined, texts->items[i]);
    return joined;
}

static const char *format_value(struct arena *arena, const struct json_field *field, const void *place, bool zero_is_none) {
    char time[CLOCK_RFC3339_SIZE];
    int64_t number = 0;
    switch (field->type) {
    case JSON_TEXT:
    case JSON_RAW:
        return *(const char *const *)place;
    case JSON_INT:
        number = *(const int64_t *)place;
        return zero_is_none && number == 0 ? NULL : arena_printf(arena, "%lld", (long long)number);
    case JSON_BOOL:
        return *(const bool *)place ? "yes" : "no";
    case JSON_TIME:
        number = *(const int64_t *)place;
        if (number == 0)
            return NULL;
        clock_rfc3339(number, time);
        return arena_strdup(arena, time);
    case JSON_TEXTS:
        return cli_view_join(arena, place);
    case JSON_STRUCT:
    case JSON_STRUCTS:
    case JSON_BASE64:
    case JSON_MAP:
        break; /* such a column has a format function */
    }
    return NULL;
}

static const char *format_cell(struct arena *arena, const struct json_shape *shape, const struct cli_column *column, const void *object) {
    if (column->format != NULL)
        return column->format(arena, object);
    for (size_t i = 0; i < shape->count; i++)
        if (text_equal(shape->fields[i].name, column->field))
            return format_value(arena, &shape->fields[i], (const char *)object + shape->fields[i].offset, column->zero_is_none);
    return NULL;
}

bool cli_view_write(struct cli *cli, const struct buf *text, struct err *err) {
    if (!buf_ok(text, "output", err))
        return false;
    if (text->len > 0 && fwrite(text->data, 1, text->len, cli->out) != text->len)
        return err_set(err, ERR_IO, "cannot write the output");
    return fflush(cli->out) == 0 || err_set(err, ERR_IO, "cannot write the output");
}

bool cli_view_table(struct cli *cli, const struct cli_table *table, struct err *err) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(OUT_MAX_BYTES);
    cli_table_print(table, cli->out_is_terminal, &out);
    return cli_view_write(cli, &out, err);
}

bool cli_view_json(struct cli *cli, const char *json, size_t len, struct err *err) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(OUT_MAX_BYTES);
    if (!cli->out_is_terminal)
        buf_append(&out, json, len);
    else if (!json_pretty(&out, json, len, err))
        return false;
    if (out.len == 0 || out.data[out.len - 1] != '\n')
        buf_byte(&out, '\n');
    return cli_view_write(cli, &out, err);
}

/* One line a column: "title<TAB>value", or aligned. */
static bool write_object(struct cli *cli, const struct cli_reply *reply, const struct cli_view *view, bool aligned, struct buf *out,
                         struct err *err) {
    void *object = arena_alloc(&cli->arena, view->shape->size);
    if (object == NULL)
        return err_no_memory(err);
    if (!json_read(&cli->arena, reply->body, reply->len, view->shape, object, NULL, err))
        return err_prefix(err, "reply of the server");
    const struct cli_column *columns = view->show == NULL ? view->list : view->show;
    size_t count = view->show == NULL ? view->list_count : view->show_count;
    size_t widest = 0;
    for (size_t i = 0; i < count; i++)
        widest = strlen(columns[i].title) > widest ? strlen(columns[i].title) : widest;
    for (size_t i = 0; i < count; i++) {
        const char *value = format_cell(&cli->arena, view->shape, &columns[i], object);
        value = value == NULL || value[0] == '\0' ? "-" : cli_table_clean(&cli->arena, value);
        if (value == NULL)
            return err_no_memory(err);
        for (const char *at = columns[i].title; *at != '\0'; at++)
            buf_byte(out, *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at);
        if (aligned)
            buf_printf(out, "%*s  %s\n", (int)(widest - strlen(columns[i].title)), "", value);
        else
            buf_printf(out, "\t%s\n", value);
    }
    return buf_ok(out, "output", err);
}

bool cli_view_show(struct cli *cli, const struct cli_reply *reply, const struct cli_view *view, struct err *err) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(OUT_MAX_BYTES);
    if (cli->json)
        return cli_view_json(cli, reply->body, reply->len, err);
    return write_object(cli, reply, view, cli->out_is_terminal, &out, err) && cli_view_write(cli, &out, err);
}

bool cli_view_note(struct cli *cli, const struct cli_reply *reply, const struct cli_view *view, struct err *err) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(OUT_MAX_BYTES);
    if (!write_object(cli, reply, view, true, &out, err))
        return false;
    fputs(out.data, cli->notes);
    return true;
}

bool cli_view_get(struct cli *cli, const char *path, const struct cli_view *view, struct err *err) {
    struct cli_reply reply;
    return cli_client_get(cli, path, &reply, err) && cli_view_show(cli, &reply, view, err);
}

/* Reads the items of one page into the table. */
static bool add_rows(struct cli *cli, const char *items, const struct cli_view *view, struct cli_table *table, struct err *err) {
    struct items_page {
        struct json_list items;
    };
    const struct json_field fields[] = {
        JSON_FIELD(struct items_page, items, JSON_STRUCTS, JSON_REQUIRED, .max = PAGE_ITEMS, .shape = view->shape),
    };
    const struct json_shape shape = JSON_SHAPE(struct items_page, fields);
    struct items_page page;
    const char *document = arena_printf(&cli->arena, "{\"items\":%s}", items);
    if (document == NULL)
        return err_no_memory(err);
    if (!json_read(&cli->arena, document, strlen(document), &shape, &page, NULL, err))
        return err_prefix(err, "reply of the server");
    for (size_t i = 0; i < page.items.count; i++) {
        const char *cells[CLI_TABLE_MAX_COLUMNS] = {NULL};
        for (size_t column = 0; column < view->list_count && column < CLI_TABLE_MAX_COLUMNS; column++)
            cells[column] = format_cell(&cli->arena, view->shape, &view->list[column], (const char *)page.items.items + i * view->shape->size);
        if (!cli_table_add(table, cells, err))
            return false;
    }
    return true;
}

/* Appends the items of one page to the array that --json prints. */
static bool add_json(struct buf *all, const char *items, struct err *err) {
    size_t len = strlen(items);
    if (len < 2 || items[0] != '[' || items[len - 1] != ']')
        return err_set_field(err, ERR_INVALID, "items", "reply of the server: items is no array");
    if (len > 2 && all->data[all->len - 1] != '[')
        buf_byte(all, ',');
    buf_append(all, items + 1, len - 2);
    return buf_ok(all, "output", err);
}

/* asked NULL: the list has no pages. */
static bool page_path(struct cli *cli, const char *path, const struct cli_query *query, size_t query_count, const struct cli_paging *asked,
                      const char *cursor, const char **ret_path, struct err *err) {
    CLEANUP(buf_free) struct buf full = BUF_INIT(PATH_MAX_BYTES);
    const int64_t limit = asked == NULL || asked->limit == 0 || asked->limit > PAGE_ITEMS ? PAGE_ITEMS : asked->limit;
    const struct cli_query paging[] = {
        {"sort", asked == NULL ? NULL : asked->sort},
        {"limit", asked == NULL ? NULL : arena_printf(&cli->arena, "%lld", (long long)limit)},
        {"cursor", cursor},
    };
    struct cli_query all[16];
    size_t count = 0;
    for (size_t i = 0; i < query_count && count + ARRAY_LEN(paging) < ARRAY_LEN(all); i++)
        all[count++] = query[i];
    for (size_t i = 0; i < ARRAY_LEN(paging); i++)
        all[count++] = paging[i];
    if (path == NULL)
        return err_no_memory(err);
    buf_text(&full, path);
    cli_view_query(&full, all, count);
    if (!buf_ok(&full, "request path", err))
        return false;
    *ret_path = arena_strndup(&cli->arena, full.data, full.len);
    return *ret_path != NULL || err_no_memory(err);
}

static bool print_list(struct cli *cli, const struct cli_table *table, const struct cli_view *view, struct err *err) {
    if (table->rows > 0)
        return cli_view_table(cli, table, err);
    cli_note(cli, "%s", view->none);
    return true;
}

/* "…],"next":<cursor or null>}": not null only when --limit cut the list. */
static bool print_json(struct cli *cli, struct buf *json, const char *next, struct err *err) {
    buf_text(json, "],\"next\":");
    if (next == NULL)
        buf_text(json, "null");
    else
        json_write_text(json, next);
    buf_text(json, "}");
    return buf_ok(json, "output", err) && cli_view_json(cli, json->data, json->len, err);
}

bool cli_view_list(struct cli *cli, const char *path, const struct cli_query *query, size_t query_count, const struct cli_paging *paging,
                   const struct cli_view *view, struct err *err) {
    const struct cli_paging asked = paging != NULL ? *paging : (struct cli_paging){.limit = 0};
    struct cli_table table;
    CLEANUP(buf_free) struct buf json = BUF_INIT(OUT_MAX_BYTES);
    cli_table_init(&table, &cli->arena);
    for (size_t i = 0; i < view->list_count; i++)
        cli_table_column(&table, view->list[i].title, view->list[i].right);
    buf_text(&json, "{\"items\":[");
    if (asked.limit < 0)
        return err_set(err, ERR_USAGE, "--limit must be at least 1");
    const char *cursor = NULL;
    do {
        const char *full = NULL;
        struct cli_reply reply;
        struct page page;
        const struct cli_paging rest = {.sort = asked.sort, .limit = asked.limit == 0 ? 0 : asked.limit - (int64_t)table.rows};
        if (!page_path(cli, path, query, query_count, view->unpaged ? NULL : &rest, cursor, &full, err) || !cli_client_get(cli, full, &reply, err))
            return false;
        if (!json_read(&cli->arena, reply.body, reply.len, &page_shape, &page, NULL, err))
            return err_prefix(err, "reply of the server");
        if (!add_rows(cli, page.items, view, &table, err) || (cli->json && !add_json(&json, page.items, err)))
            return false;
        if (page.next != NULL && text_equal(page.next, cursor))
            return err_set(err, ERR_INVALID, "reply of the server: the next page is this page again");
        cursor = page.next;
    } while (cursor != NULL && (asked.limit == 0 || (int64_t)table.rows < asked.limit));
    return cli->json ? print_json(cli, &json, cursor, err) : print_list(cli, &table, view, err);
}
