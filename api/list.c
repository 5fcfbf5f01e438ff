#include "api/list.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/call.h"
#include "common/hex.h"
#include "common/text.h"
#include "db/db.h"

enum {
    CURSOR_MAX = 512, /* bytes of a position */
    LINES_PAGE = 200, /* items that a stream reads at once */
    LINES_MAX = 64 * 1024 * 1024,
};

/* A list sent as lines: what is read and not yet sent, and where to go on. */
struct lines {
    struct buf text;
    size_t sent;
    char cursor[2 * CURSOR_MAX + 1]; /* "": at the start */
    bool ended;                      /* text is the last */
};

struct page {
    struct json_list items;
    const char *next;
};

/* A cursor is the position in hex: opaque enough that nobody builds one, and the same for every list. */
static bool cursor_read(struct api_call *call, const char *cursor, const char **ret_after, struct err *err) {
    size_t len = strlen(cursor);
    char *text = arena_alloc(call->arena, len / 2 + 1);
    if (text == NULL)
        return err_no_memory(err);
    if (len > 2 * CURSOR_MAX || !hex_decode(cursor, len, text) || strlen(text) != len / 2 || !text_is_printable(text))
        return err_set_field(err, ERR_INVALID, "cursor", "'cursor' is none that a list of this kind gave");
    *ret_after = text;
    return true;
}

/* ---- lines ---- */

static const char lines_type[] = "application/x-ndjson";

bool api_list_wants_lines(const struct api_call *call) {
    const char *accept = api_header(call, "Accept");
    return accept != NULL && strncasecmp(accept, lines_type, sizeof(lines_type) - 1) == 0 && strchr(";, \t", accept[sizeof(lines_type) - 1]) != NULL;
}

static void lines_release(void *state) {
    buf_free(&((struct lines *)state)->text);
}

static enum api_pull_step lines_next(struct api_call *call, void *state, struct buf *out, struct err *err) {
    struct lines *lines = state;
    if (lines->sent == lines->text.len && !lines->ended) {
        if (!api_still_allowed(call)) {
            err_set(err, ERR_UNAUTHENTICATED, "the token or certificate is not good any more");
            return API_PULL_FAILED;
        }
        const struct api_reply kept = call->reply;
        buf_reset(&lines->text);
        lines->sent = 0;
        bool ok = call->route->handler(call, err); /* ends in add_lines() */
        call->reply = kept;
        if (!ok)
            return API_PULL_FAILED;
    }
    size_t rest = lines->text.len - lines->sent;
    size_t len = rest < API_PULL_PIECE ? rest : API_PULL_PIECE;
    if (len > 0)
        buf_append(out, lines->text.data + lines->sent, len);
    lines->sent += len;
    return lines->ended && lines->sent == lines->text.len ? API_PULL_END : API_PULL_MORE;
}

/* The state of the stream that this call is part of; NULL: it has not begun. */
static struct lines *lines_of(const struct api_call *call) {
    return call->reply.pull.next == lines_next ? call->reply.pull.state : NULL;
}

static bool add_lines(struct api_call *call, struct lines *lines, const struct json_shape *item, const void *items, size_t count, const char *next,
                      struct err *err) {
    for (size_t i = 0; i < count; i++) {
        json_write(&lines->text, item, (const char *)items + i * item->size);
        buf_byte(&lines->text, '\n');
    }
    lines->ended = next == NULL;
    if (next != NULL && strlen(next) > CURSOR_MAX)
        return err_set(err, ERR_INTERNAL, "position too long at %s", call->path);
    if (next != NULL)
        hex_encode(next, strlen(next), lines->cursor);
    return buf_ok(&lines->text, "the reply", err);
}

static bool begin_lines(struct api_call *call, const struct json_shape *item, const void *items, size_t count, const char *next, struct err *err) {
    struct lines *lines = arena_alloc(call->arena, sizeof(*lines));
    if (lines == NULL)
        return err_no_memory(err);
    buf_init(&lines->text, LINES_MAX);
    call->reply.content_type = lines_type;
    call->reply.pull = (struct api_pull){.next = lines_next, .release = lines_release, .state = lines};
    return add_lines(call, lines, item, items, count, next, err);
}

/* ---- pages ---- */

bool api_list_begin(struct api_call *call, struct db_list *ret_list, struct err *err) {
    struct db_list list = {.sort = api_query(call, "sort")};
    const char *limit = api_query(call, "limit");
    int64_t number = API_LIST_DEFAULT;
    if (limit != NULL && !text_to_int(limit, 1, DB_MAX_PAGE, &number))
        return err_set_field(err, ERR_INVALID, "limit", "'limit' must be a number from 1 to %d", DB_MAX_PAGE);
    const struct lines *lines = lines_of(call);
    list.limit = api_list_wants_lines(call) ? LINES_PAGE : (size_t)number;
    const char *cursor = lines != NULL ? lines->cursor : api_query(call, "cursor");
    if (cursor != NULL && *cursor != '\0' && !cursor_read(call, cursor, &list.after, err))
        return false;
    *ret_list = list;
    return true;
}

static void escape(struct buf *out, const char *text) {
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~:@", c) != NULL;
        if (plain)
            buf_byte(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

/* The same request with another cursor. */
static bool link_next(struct api_call *call, const char *cursor, struct err *err) {
    struct buf link CLEANUP(buf_free) = BUF_INIT(4096);
    buf_printf(&link, "<%s?cursor=%s", call->path, cursor);
    for (size_t i = 0; i < call->query_count; i++) {
        if (strcmp(call->query[i].name, "cursor") == 0)
            continue;
        buf_printf(&link, "&%s=", call->query[i].name);
        escape(&link, call->query[i].value);
    }
    buf_text(&link, ">; rel=\"next\"");
    return buf_ok(&link, "the Link field", err) && api_reply_header(call, "Link", link.data, err);
}

bool api_list_reply(struct api_call *call, const struct json_shape *item, void *items, size_t count, const char *next, struct err *err) {
    const struct json_field fields[] = {
        {.name = "items", .type = JSON_STRUCTS, .offset = offsetof(struct page, items), .shape = item},
        {.name = "next", .type = JSON_TEXT, .offset = offsetof(struct page, next), .flags = JSON_NULLABLE},
    };
    const struct json_shape shape = JSON_SHAPE(struct page, fields);
    struct page page = {.items = {.count = count, .items = items}};
    if (lines_of(call) != NULL)
        return add_lines(call, lines_of(call), item, items, count, next, err);
    if (api_list_wants_lines(call))
        return begin_lines(call, item, items, count, next, err);
    if (next != NULL) {
        char *cursor = arena_alloc(call->arena, 2 * strlen(next) + 1);
        if (cursor == NULL)
            return err_no_memory(err);
        hex_encode(next, strlen(next), cursor);
        page.next = cursor;
        if (!link_next(call, cursor, err))
            return false;
    }
    return api_reply_json(call, 0, &shape, &page, err);
}
