/* `pawl events follow`: the server's event stream as lines, picked up again behind the last event when the connection breaks. */
#include <string.h>

#include "cli/client.h"
#include "cli/groups.h"
#include "cli/table.h"
#include "cli/view.h"
#include "common/clock.h"
#include "common/text.h"

enum { LINE_MAX_BYTES = 1 << 20, PAUSE_MS = 2000, ID_SIZE = 24, PATH_BYTES = 2048 };

struct follow_args {
    const char *kind, *device, *product, *after;
    int64_t limit;
};

static const struct cli_option follow_options[] = {
    {"kind", 0, OPTION_TEXT, offsetof(struct follow_args, kind), "KIND", "only of this kind"},
    {"device", 0, OPTION_TEXT, offsetof(struct follow_args, device), "DEVICE", "only of this device"},
    {"product", 0, OPTION_TEXT, offsetof(struct follow_args, product), "PRODUCT", "only of this product"},
    {"after", 0, OPTION_TEXT, offsetof(struct follow_args, after), "EVENT", "begin behind this event; 0: with the oldest [the next one]"},
    {"limit", 0, OPTION_INT, offsetof(struct follow_args, limit), "N", "end after N events"},
};
const struct cli_options cli_follow_options = CLI_OPTIONS(struct follow_args, follow_options);

struct event {
    const char *id;
    int64_t time;
    const char *kind, *device, *product, *detail;
};

static const struct json_field fields[] = {
    JSON_FIELD(struct event, id, JSON_TEXT, JSON_REQUIRED),      JSON_FIELD(struct event, time, JSON_TIME, JSON_REQUIRED),
    JSON_FIELD(struct event, kind, JSON_TEXT, JSON_REQUIRED),    JSON_FIELD(struct event, device, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct event, product, JSON_TEXT, JSON_NULLABLE), JSON_FIELD(struct event, detail, JSON_RAW, JSON_NULLABLE),
};
static const struct json_shape shape = JSON_SHAPE_OPEN(struct event, fields);

struct follow {
    struct cli *cli;
    const char *path;
    struct buf held;    /* what has come of a line that is not whole */
    char last[ID_SIZE]; /* the last event's id; "": none yet */
    int64_t left;       /* events to come; -1: no end */
    bool told;          /* the break of the connection */
    struct err err;
};

/* One event as one line: as it came, or its members in columns. */
static bool print_event(struct follow *follow, const char *data, size_t len, struct err *err) {
    struct cli *cli = follow->cli;
    CLEANUP(arena_clear) struct arena arena;
    CLEANUP(buf_free) struct buf out = BUF_INIT(LINE_MAX_BYTES);
    struct event event;
    char time[CLOCK_RFC3339_SIZE];
    arena_init(&arena, (size_t)4 * LINE_MAX_BYTES);
    if (!json_read(&arena, data, len, &shape, &event, NULL, err))
        return err_prefix(err, "event of the server");
    if (!text_copy(follow->last, sizeof(follow->last), event.id))
        return err_set(err, ERR_INVALID, "event of the server: its id is too long");
    if (cli->json) {
        buf_append(&out, data, len);
        buf_byte(&out, '\n');
        return cli_view_write(cli, &out, err);
    }
    clock_rfc3339(event.time, time);
    const char *const texts[] = {event.id, time, event.kind, event.device, event.product, event.detail};
    static const int widths[] = {6, 20, 22, 20, 12, 0};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const char *text = cli_table_clean(&arena, texts[i] != NULL && texts[i][0] != '\0' ? texts[i] : "-");
        if (text == NULL)
            return err_no_memory(err);
        if (cli->out_is_terminal)
            buf_printf(&out, "%-*s%s", widths[i], text, i + 1 < ARRAY_LEN(texts) ? "  " : "\n");
        else
            buf_printf(&out, "%s%s", text, i + 1 < ARRAY_LEN(texts) ? "\t" : "\n");
    }
    return cli_view_write(cli, &out, err);
}

/* Of a block only its "data: " line is needed: it says the id as well. */
static bool take_line(struct follow *follow, const char *line, size_t len) {
    if (len < 6 || memcmp(line, "data: ", 6) != 0)
        return true;
    follow->told = false;
    if (!print_event(follow, line + 6, len - 6, &follow->err))
        return false;
    if (follow->left > 0)
        follow->left--;
    return follow->left != 0;
}

static bool take(void *context, const void *data, size_t len) {
    struct follow *follow = context;
    buf_append(&follow->held, data, len);
    if (!buf_ok(&follow->held, "a line of the stream", &follow->err))
        return false;
    char *from = follow->held.data;
    size_t left = follow->held.len;
    for (char *end; left > 0 && (end = memchr(from, '\n', left)) != NULL;) {
        if (!take_line(follow, from, (size_t)(end - from)))
            return false;
        left -= (size_t)(end + 1 - from);
        from = end + 1;
    }
    if (left > 0)
        memmove(follow->held.data, from, left);
    follow->held.len = left;
    return true;
}

static bool may_come_back(const struct err *err) {
    return err->code == ERR_NETWORK || err->code == ERR_TIMEOUT || err->code == ERR_BUSY || err->code == ERR_RATE;
}

/* One connection; true when the server has ended it, or nothing more is wanted. */
static bool connect_once(struct cli *cli, void *context, struct err *err) {
    struct follow *follow = context;
    struct cli_reply reply;
    const struct cli_request request = {.method = "GET",
                                        .path = follow->path,
                                        .accept = "text/event-stream",
                                        .last_event = follow->last[0] != '\0' ? follow->last : NULL,
                                        .sink = take,
                                        .sink_context = follow};
    buf_reset(&follow->held);
    bool ended = cli_client_call(cli, &request, &reply, err);
    if (follow->err.code != ERR_NONE)
        *err = follow->err;
    return ended || follow->left == 0;
}

/* Until the limit, or for ever. What does not pass by itself (a refused token) ends it. */
static bool follow_on(struct follow *follow, struct err *err) {
    for (;;) {
        bool ended = cli_aside(follow->cli, connect_once, follow, err);
        if (follow->left == 0)
            return true;
        if (!ended && (follow->err.code != ERR_NONE || !may_come_back(err)))
            return false;
        if (!follow->told)
            cli_note(follow->cli, "%s; connecting again", ended ? "the server has ended the stream" : err->text);
        follow->told = true;
        clock_sleep_ms(PAUSE_MS);
    }
}

static void free_follow(struct follow *follow) {
    buf_free(&follow->held);
}

bool cli_follow_events(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct follow_args *asked = args;
    const struct cli_query query[] = {{"kind", asked->kind}, {"device", asked->device}, {"product", asked->product}, {"after", asked->after}};
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_BYTES);
    CLEANUP(free_follow) struct follow follow = {.cli = cli, .left = asked->limit > 0 ? asked->limit : -1, .held = BUF_INIT(LINE_MAX_BYTES)};
    if (asked->limit < 0)
        return err_set(err, ERR_USAGE, "--limit must be at least 1");
    buf_text(&path, "/api/v1/events/stream");
    cli_view_query(&path, query, ARRAY_LEN(query));
    if (!buf_ok(&path, "request path", err))
        return false;
    follow.path = path.data;
    return follow_on(&follow, err);
}
