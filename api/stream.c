/* GET /api/v1/events/stream: Server-Sent Events (WHATWG HTML, section 9.2). One piece holds what has happened since the last; then it waits for news,
 * or for the next heartbeat. The reader's pace is the stream's: nothing is kept for it but the id of the last event. */
#include <stdatomic.h>
#include <string.h>

#include "api/call.h"
#include "api/env.h"
#include "api/event.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "common/text.h"
#include "db/token.h"

enum { PAGE = 200, HEARTBEAT_S = 10, HEARTBEAT_MS = HEARTBEAT_S * 1000, RETRY_MS = 2000 };

struct stream {
    struct api_streams *streams;
    int64_t after;
    int64_t said_at; /* the last byte, also of a heartbeat */
    bool begun;
    const char *kind, *device, *product; /* NULL: any */
};

static void release(void *state) {
    struct stream *stream = state;
    atomic_fetch_sub(&stream->streams->open, 1);
}

static bool wants(const struct api_call *call, const struct stream *stream, const struct db_event *event) {
    return (stream->kind == NULL || strcmp(stream->kind, event->kind) == 0) &&
           (stream->device == NULL || strcmp(stream->device, event->device) == 0) &&
           (stream->product == NULL || strcmp(stream->product, event->product) == 0) &&
           db_token_allows(call->operator_.token, call->route->scope, event->product);
}

static bool write_event(struct api_call *call, const struct db_event *event, struct buf *out, struct err *err) {
    buf_printf(out, "id: %lld\nevent: %s\ndata: ", (long long)event->id, event->kind);
    if (!api_event_write(call->arena, event, out, err))
        return false;
    buf_text(out, "\n\n");
    return true;
}

static enum api_pull_step next(struct api_call *call, void *state, struct buf *out, struct err *err) {
    struct stream *stream = state;
    struct db_events page;
    int64_t now = call->now;
    size_t empty = out->len;
    if (!api_still_allowed(call)) /* a stream does not outlive the token or the certificate that began it, nor what that may do */
        return API_PULL_END;
    if (!stream->begun)
        buf_printf(out, "retry: %d\n\n", RETRY_MS);
    stream->begun = true;
    if (!db_event_after(call->db, stream->after, PAGE, call->arena, &page, err))
        return API_PULL_FAILED;
    size_t i = 0;
    for (; i < page.count && out->len < API_PULL_PIECE; i++) {
        if (wants(call, stream, &page.items[i]) && !write_event(call, &page.items[i], out, err))
            return API_PULL_FAILED;
        stream->after = page.items[i].id;
    }
    if (out->len == empty && now - stream->said_at >= HEARTBEAT_S)
        buf_text(out, ": still here\n\n");
    if (out->len > empty)
        stream->said_at = now;
    int64_t left_s = call->operator_.token->expires_at - now;
    call->reply.pull.wait_ms = left_s < HEARTBEAT_S ? left_s * 1000 : HEARTBEAT_MS;
    return page.more || i < page.count ? API_PULL_MORE : API_PULL_WAIT;
}

/* After COMMIT. */
static void wake(struct db *db, void *arg, bool committed) {
    const struct api_env *env = arg;
    (void)db;
    if (committed)
        env->wake_streams(env->server);
}

bool api_stream_recheck(struct api_call *call, struct err *err) {
    return db_on_commit(call->db, wake, (void *)(uintptr_t)call->env, err);
}

/* Behind the id that the client saw last, or from now on. An id that is still to come counts as now: the store was put back. */
static bool begin_at(struct api_call *call, int64_t *ret_after, struct err *err) {
    const char *header = api_header(call, "Last-Event-ID"), *query = api_query(call, "after");
    const char *text = header != NULL && header[0] != '\0' ? header : query;
    int64_t newest, after;
    if (!db_event_newest(call->db, &newest, err))
        return false;
    if (text == NULL)
        after = newest;
    else if (!text_to_int(text, 0, INT64_MAX, &after))
        return err_set_field(err, ERR_INVALID, text == header ? "Last-Event-ID" : "after", "'%.32s' is no event's id", text);
    *ret_after = after < newest ? after : newest;
    return true;
}

/* One more stream, or none: each holds a connection for as long as its client likes. */
static bool take_place(struct api_streams *streams, struct err *err) {
    if (atomic_fetch_add(&streams->open, 1) < streams->max)
        return true;
    atomic_fetch_sub(&streams->open, 1);
    return err_set(err, ERR_BUSY, "%d event streams are open already ([limits] event_streams)", streams->max);
}

bool api_stream_events(struct api_call *call, struct err *err) {
    struct stream *stream = arena_alloc(call->arena, sizeof(*stream));
    if (stream == NULL)
        return err_no_memory(err);
    *stream = (struct stream){
        .streams = call->env->streams,
        .said_at = call->now,
        .device = api_query(call, "device"),
        .product = api_query(call, "product"),
    };
    if (!api_event_read_kind(call, &stream->kind, err) || (stream->product != NULL && !api_allow(call, stream->product, err)) ||
        !begin_at(call, &stream->after, err))
        return false;
    call->reply.status = 200;
    call->reply.content_type = "text/event-stream";
    if (call->head)
        return true;
    if (!take_place(stream->streams, err))
        return false;
    call->reply.pull = (struct api_pull){.next = next, .release = release, .state = stream};
    return true;
}
