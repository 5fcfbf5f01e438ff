#include "server/download.h"

#include <string.h>

#include "common/clock.h"
#include "server/pace.h"

#define RETRY_AFTER "30" /* seconds */

enum { RECORD_BYTES = 16 * 1024, PLACE_RETRY_MS = 250 };

/* What places are counted by: "place" and the rollout, 0 for all together. No address and no device id has this form. */
struct place {
    char kind[8];
    int64_t rollout;
};

static struct place place_of(int64_t rollout) {
    return (struct place){.kind = "place", .rollout = rollout};
}

static bool is_download(const struct front_conn *conn) {
    return conn->role != API_ADMIN && conn->direct->call.reply.blob.release != NULL;
}

static bool enter(struct front_conn *conn, int64_t rollout, int64_t max) {
    struct place place = place_of(rollout);
    return limits_enter(conn->worker->wire->limits, &place, sizeof(place), max > 0 ? max : INT64_MAX);
}

static void leave(struct front_conn *conn, int64_t rollout) {
    struct place place = place_of(rollout);
    limits_leave(conn->worker->wire->limits, &place, sizeof(place));
}

/* A place among all, and one of its rollout's. */
static bool take_places(struct front_conn *conn) {
    struct download *download = &conn->download;
    const struct wire_settings *settings = &conn->worker->wire->settings;
    int64_t rollout = settings->max_rollout_downloads > 0 ? conn->direct->call.reply.blob.rollout : 0;
    if (!enter(conn, 0, settings->max_downloads))
        return false;
    if (rollout != 0 && !enter(conn, rollout, settings->max_rollout_downloads)) {
        leave(conn, 0);
        return false;
    }
    download->placed = true;
    download->rollout = rollout;
    worker_add(&conn->worker->counters.open_downloads, 1);
    return true;
}

static void wait_until(struct front_conn *conn, int64_t in_ms) {
    conn->download.waits = true;
    front_set_deadline(conn, in_ms);
}

/* A place is not free as soon as the writer is. */
static void retry_later(struct api_reply *reply) {
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcmp(reply->headers[i].name, "Retry-After") == 0)
            reply->headers[i].value = RETRY_AFTER;
}

/* An artifact that is answered 503 ends the update of some clients: they wait, and see that their connection lives when the first byte comes. */
static bool without_place(struct front_conn *conn) {
    struct err err;
    struct api_call *call = &conn->direct->call;
    if ((call->route->policy & API_CUT) == 0) {
        worker_add(&conn->worker->counters.refused_downloads, 1);
        err_set(&err, ERR_BUSY, "as many downloads are under way as may be at one time ([limits] downloads, rollout_downloads)");
        request_refuse(conn->direct, &err);
        retry_later(&call->reply);
        return true;
    }
    if (conn->ending)
        front_kill(conn); /* its client is gone, or we are going */
    else
        wait_until(conn, PLACE_RETRY_MS);
    return false;
}

static const char *whose(const struct front_conn *conn) {
    const char *id = conn->direct->call.identity.id;
    return id[0] != '\0' ? id : conn->address;
}

bool download_begin(struct front_conn *conn) {
    struct download *download = &conn->download;
    struct pace *pace = conn->worker->wire->pace;
    if (!is_download(conn))
        return true;
    if (download->waits && !conn->ending)
        return false;
    download->waits = false;
    if (!take_places(conn))
        return without_place(conn);
    if (pace) {
        download->device = pace_enter(pace, whose(conn), clock_mono_us() * 1000);
        if (!download->device) {
            front_kill(conn);
            return false;
        }
    }
    return true;
}

bool download_is_paced(const struct front_conn *conn) {
    return conn->download.device && is_download(conn);
}

bool download_grant(struct front_conn *conn, size_t *max) {
    struct download *download = &conn->download;
    struct pace *pace = conn->worker->wire->pace;
    int64_t now_ns = clock_mono_us() * 1000;
    if (download->waits)
        return false;
    if (download->granted == 0) {
        size_t piece = pace_piece(pace, RECORD_BYTES, TLS_WRITE_MAX);
        download->granted = conn->body_left < piece ? (size_t)conn->body_left : piece;
        download->granted_at_ns = pace_reserve(pace, download->device, download->granted, now_ns);
    }
    int64_t left_ms = (download->granted_at_ns - now_ns + 999999) / 1000000;
    if (left_ms > 0) {
        wait_until(conn, left_ms);
        return false;
    }
    *max = *max < download->granted ? *max : download->granted;
    return true;
}

void download_sent(struct front_conn *conn, size_t len) {
    struct download *download = &conn->download;
    download->granted -= len < download->granted ? len : download->granted;
}

bool download_deadline(struct front_conn *conn) {
    if (!conn->download.waits)
        return false;
    conn->download.waits = false;
    conn->mark = front_acknowledged(conn);
    front_set_deadline(conn, FRONT_REPLY_WINDOW_MS);
    front_again(conn);
    return true;
}

void download_leave(struct front_conn *conn) {
    struct download *download = &conn->download;
    if (download->placed) {
        leave(conn, 0);
        if (download->rollout != 0)
            leave(conn, download->rollout);
        worker_add(&conn->worker->counters.open_downloads, (uint64_t)-1);
    }
    if (download->device)
        pace_leave(conn->worker->wire->pace, download->device, download->granted);
    *download = (struct download){0};
}
