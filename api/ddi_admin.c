/* The operator's side of DDI: what a client said of itself, its token, and the log of an action. */
#include <string.h>

#include "api/find.h"
#include "api/handlers.h"
#include "api/list.h"
#include "api/shapes.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/random.h"
#include "db/ddi.h"
#include "db/device.h"

enum { TOKEN_BYTES = 24 }; /* 32 characters: what the smallest clients have room for */

struct client {
    const char *id;
    bool ddi, wanted, has_token;
    const char *attributes; /* JSON */
    int64_t attributes_at;
};

static const struct json_field client_fields[] = {
    {.name = "id", .type = JSON_TEXT, .offset = offsetof(struct client, id)},
    {.name = "ddi", .type = JSON_BOOL, .offset = offsetof(struct client, ddi)},
    {.name = "attributes", .type = JSON_RAW, .offset = offsetof(struct client, attributes)},
    {.name = "attributes_at", .type = JSON_TIME, .offset = offsetof(struct client, attributes_at), .flags = JSON_NULLABLE},
    {.name = "attributes_wanted", .type = JSON_BOOL, .offset = offsetof(struct client, wanted)},
    {.name = "has_token", .type = JSON_BOOL, .offset = offsetof(struct client, has_token)},
};
static const struct json_shape client_shape = JSON_SHAPE(struct client, client_fields);

static bool audit(struct api_call *call, const char *action, const char *id, struct err *err) {
    const char *reason;
    return api_reason(call, &reason, err) && api_audit(call, action, "device", id, api_detail(call, "reason", reason, (char *)NULL), err);
}

static bool read_client(struct api_call *call, const char *id, struct client *ret_client, struct err *err) {
    struct db_ddi_device device;
    if (!db_ddi_device_get(call->db, id, call->arena, &device, err))
        return false;
    *ret_client = (struct client){
        .id = id,
        .ddi = device.client,
        .wanted = !device.configured,
        .has_token = device.has_token,
        .attributes = device.attributes,
        .attributes_at = device.configured_at,
    };
    return true;
}

static bool reply_client(struct api_call *call, const char *id, struct err *err) {
    struct client client;
    return read_client(call, id, &client, err) && api_reply_json(call, 0, &client_shape, &client, err);
}

bool api_ddi_client_get(struct api_call *call, struct err *err) {
    struct db_device device;
    return api_find_device(call, api_var(call, "device"), &device, err) && reply_client(call, device.id, err);
}

bool api_ddi_client_ask(struct api_call *call, struct err *err) {
    struct db_device device;
    return api_find_device(call, api_var(call, "device"), &device, err) && db_ddi_device_ask(call->db, device.id, err) &&
           audit(call, "ddi.ask", device.id, err) && reply_client(call, device.id, err);
}

static bool make_token(struct api_call *call, uint8_t ret_sha256[SHA256_SIZE], const char **ret_text, struct err *err) {
    uint8_t secret[TOKEN_BYTES];
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(64);
    random_bytes(secret, sizeof(secret));
    base64url_encode(&text, secret, sizeof(secret));
    if (!buf_ok(&text, "the token", err) || !hash_sha256(text.data, text.len, ret_sha256, err))
        return false;
    *ret_text = arena_strndup(call->arena, text.data, text.len);
    return *ret_text != NULL || err_no_memory(err);
}

bool api_ddi_token_create(struct api_call *call, struct err *err) {
    struct db_device device;
    struct client client;
    uint8_t sha256[SHA256_SIZE];
    const char *secret;
    return api_find_device(call, api_var(call, "device"), &device, err) && make_token(call, sha256, &secret, err) &&
           db_ddi_device_token(call->db, device.id, sha256, err) && audit(call, "ddi.token", device.id, err) &&
           read_client(call, device.id, &client, err) && api_reply_secret(call, 201, "client", &client_shape, &client, secret, err);
}

bool api_ddi_token_revoke(struct api_call *call, struct err *err) {
    struct db_device device;
    return api_find_device(call, api_var(call, "device"), &device, err) && db_ddi_device_token(call->db, device.id, NULL, err) &&
           audit(call, "ddi.token-revoke", device.id, err) && reply_client(call, device.id, err);
}

/* ---- the log ---- */

struct counted {
    int64_t count, of;
};

struct entry {
    int64_t seq, at;
    const char *execution, *finished;
    bool cancel;
    struct counted *progress;
    const char *code;    /* a number as text */
    const char *details; /* JSON */
};

static const struct json_field counted_fields[] = {
    {.name = "count", .type = JSON_INT, .offset = offsetof(struct counted, count)},
    {.name = "of", .type = JSON_INT, .offset = offsetof(struct counted, of)},
};
static const struct json_shape counted_shape = JSON_SHAPE(struct counted, counted_fields);

static const struct json_field entry_fields[] = {
    {.name = "seq", .type = JSON_INT, .offset = offsetof(struct entry, seq)},
    {.name = "at", .type = JSON_TIME, .offset = offsetof(struct entry, at)},
    {.name = "cancel", .type = JSON_BOOL, .offset = offsetof(struct entry, cancel)},
    {.name = "execution", .type = JSON_TEXT, .offset = offsetof(struct entry, execution)},
    {.name = "finished", .type = JSON_TEXT, .offset = offsetof(struct entry, finished)},
    {.name = "progress", .type = JSON_STRUCT, .offset = offsetof(struct entry, progress), .flags = JSON_NULLABLE, .shape = &counted_shape},
    {.name = "code", .type = JSON_RAW, .offset = offsetof(struct entry, code), .flags = JSON_NULLABLE},
    {.name = "details", .type = JSON_RAW, .offset = offsetof(struct entry, details)},
};
static const struct json_shape entry_shape = JSON_SHAPE(struct entry, entry_fields);

static bool fill_entry(struct api_call *call, const struct db_ddi_entry *row, struct entry *ret_entry, struct err *err) {
    struct entry entry = {
        .seq = row->seq,
        .at = row->time,
        .execution = row->execution,
        .finished = row->finished,
        .cancel = row->cancel,
        .details = row->details,
    };
    bool counted = row->progress_count >= 0, coded = row->code >= 0;
    if (counted)
        entry.progress = arena_alloc(call->arena, sizeof(*entry.progress));
    if (coded)
        entry.code = arena_printf(call->arena, "%lld", (long long)row->code);
    if ((counted && entry.progress == NULL) || (coded && entry.code == NULL))
        return err_no_memory(err);
    if (counted)
        *entry.progress = (struct counted){.count = row->progress_count, .of = row->progress_of};
    *ret_entry = entry;
    return true;
}

bool api_ddi_log_list(struct api_call *call, struct err *err) {
    struct db_deployment deployment;
    struct db_ddi_entries page;
    struct db_list list;
    if (!api_find_deployment(call, &deployment, err) || !api_list_begin(call, &list, err) ||
        !db_ddi_log_list(call->db, deployment.id, &list, call->arena, &page, err))
        return false;
    struct entry *items = arena_array(call->arena, page.count, sizeof(*items));
    if (items == NULL && page.count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++)
        if (!fill_entry(call, &page.items[i], &items[i], err))
            return false;
    return api_list_reply(call, &entry_shape, items, page.count, page.next, err);
}
