#include "api/notice.h"

#include <pthread.h>

#include "api/env.h"
#include "common/hex.h"
#include "common/json.h"
#include "db/event.h"

enum { SLOTS = 1024, EVERY_S = 60 };

/* When each kind and object was last noticed. A collision only silences one of the two for a minute; the table never grows. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t noticed[SLOTS];

/* marks: it is being noticed now, by the writer. Until then every request asks, so that none which fails on the way silences the others. */
static bool due(const char *kind, const char *object, int64_t now, bool marks) {
    uint32_t hash = 2166136261u;
    for (const char *p = kind; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    for (const char *p = object; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    pthread_mutex_lock(&lock);
    int64_t *slot = &noticed[hash % SLOTS];
    bool is_due = *slot == 0 || now >= *slot + EVERY_S || now < *slot;
    if (is_due && marks)
        *slot = now;
    pthread_mutex_unlock(&lock);
    return is_due;
}

/* An event that cannot be written must not turn one refusal into another. */
static bool notice(struct api_call *call, const char *kind, const char *object, const char *device, const struct buf *detail) {
    struct err ignored;
    if (!call->writing)
        return call->defer_to_writer = due(kind, object, call->now, false);
    if (!due(kind, object, call->now, true))
        return false;
    bool told = buf_ok(detail, "the event's detail", &ignored) && db_event_insert(call->db, call->now, kind, device, detail->data, &ignored);
    call->keep_writes = told;
    return false;
}

bool api_notice_image_missing(struct api_call *call, const struct db_release *release, const struct err *why) {
    struct buf detail CLEANUP(buf_free) = BUF_INIT(2048);
    buf_text(&detail, "{\"path\":");
    json_write_text(&detail, release->path);
    buf_text(&detail, ",\"sha256\":");
    json_write_text(&detail, release->sha256);
    buf_text(&detail, ",\"error\":");
    json_write_text(&detail, why->text);
    buf_byte(&detail, '}');
    return notice(call, "image-missing", release->sha256, "", &detail);
}

bool api_notice_clone_suspected(struct api_call *call) {
    char spki[65];
    hex_encode(call->identity.spki_sha256, 32, spki);
    struct buf detail CLEANUP(buf_free) = BUF_INIT(1000);
    buf_text(&detail, "{\"reason\":\"another-key\",\"spki_sha256\":");
    json_write_text(&detail, spki);
    buf_text(&detail, ",\"address\":");
    json_write_text(&detail, call->client_address != NULL ? call->client_address : "");
    buf_byte(&detail, '}');
    return notice(call, "clone-suspected", call->identity.id, call->identity.id, &detail);
}

bool api_notice_alternation(struct api_call *call, struct err *err) {
    if (!db_registry_take_alternation(call->env->db, call->identity.id))
        return true;
    struct buf detail CLEANUP(buf_free) = BUF_INIT(1000);
    buf_text(&detail, "{\"reason\":\"alternating-addresses\",\"address\":");
    json_write_text(&detail, call->client_address != NULL ? call->client_address : "");
    buf_byte(&detail, '}');
    return buf_ok(&detail, "the event's detail", err) && db_event_insert(call->db, call->now, "clone-suspected", call->identity.id, detail.data, err);
}
