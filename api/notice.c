#include "api/notice.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/env.h"
#include "common/hex.h"
#include "common/json.h"
#include "db/event.h"

enum { SLOTS = 1024, EVERY_S = 60 };

/* When each kind and object was last noticed. A collision only silences one of the two for a minute; the table never grows. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t noticed[SLOTS];

static bool due(const char *kind, const char *object, int64_t now) {
    uint32_t hash = 2166136261u;
    for (const char *p = kind; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    for (const char *p = object; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    pthread_mutex_lock(&lock);
    int64_t *slot = &noticed[hash % SLOTS];
    bool is_due = *slot == 0 || now >= *slot + EVERY_S || now < *slot;
    if (is_due)
        *slot = now;
    pthread_mutex_unlock(&lock);
    return is_due;
}

struct notice {
    int64_t now;
    const char *kind; /* literal */
    char device[DB_DEVICE_ID_SIZE];
    char detail[1024];
};

static bool run(struct db_conn *tx, void *arg, struct err *err) {
    const struct notice *notice = arg;
    return db_event_insert(tx, notice->now, notice->kind, notice->device, notice->detail, err);
}

static void done(void *arg, bool ok, const struct err *err) {
    (void)ok;
    (void)err;
    free(arg);
}

/* Best effort: a full queue has other worries. */
static void submit(const struct api_call *call, const char *kind, const char *device, const struct buf *detail) {
    struct err ignored;
    struct notice *notice = calloc(1, sizeof(*notice));
    if (notice == NULL)
        return;
    notice->now = call->now;
    notice->kind = kind;
    if (device != NULL)
        memcpy(notice->device, device, strlen(device) + 1);
    if (detail->data != NULL && detail->len < sizeof(notice->detail) && detail->failed == ERR_NONE)
        memcpy(notice->detail, detail->data, detail->len + 1);
    struct db_job job = {.run = run, .done = done, .arg = notice};
    if (!db_submit(call->env->db, &job, &ignored))
        free(notice);
}

void api_notice_image_missing(const struct api_call *call, const struct db_release *release, const struct err *err) {
    if (!due("image-missing", release->sha256, call->now))
        return;
    struct buf detail CLEANUP(buf_free) = BUF_INIT(1000);
    buf_text(&detail, "{\"path\":");
    json_write_text(&detail, release->path);
    buf_text(&detail, ",\"sha256\":");
    json_write_text(&detail, release->sha256);
    buf_text(&detail, ",\"error\":");
    json_write_text(&detail, err->text);
    buf_byte(&detail, '}');
    submit(call, "image-missing", NULL, &detail);
}

void api_notice_clone_suspected(const struct api_call *call) {
    if (!due("clone-suspected", call->identity.id, call->now))
        return;
    char spki[65];
    hex_encode(call->identity.spki_sha256, 32, spki);
    struct buf detail CLEANUP(buf_free) = BUF_INIT(1000);
    buf_text(&detail, "{\"spki_sha256\":");
    json_write_text(&detail, spki);
    buf_text(&detail, ",\"address\":");
    json_write_text(&detail, call->client_address != NULL ? call->client_address : "");
    buf_byte(&detail, '}');
    submit(call, "clone-suspected", call->identity.id, &detail);
}
