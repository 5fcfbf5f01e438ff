#include "db/audit.h"

#include "api/call.h"
#include "api/handlers.h"
#include "api/list.h"
#include "common/hex.h"

struct row {
    int64_t seq, time;
    const char *actor, *action, *object, *detail, *request_id, *prev_hash, *hash;
};

static const struct json_field fields[] = {
    {.name = "seq", .type = JSON_INT, .offset = offsetof(struct row, seq)},
    {.name = "time", .type = JSON_TIME, .offset = offsetof(struct row, time)},
    {.name = "actor", .type = JSON_TEXT, .offset = offsetof(struct row, actor)},
    {.name = "action", .type = JSON_TEXT, .offset = offsetof(struct row, action)},
    {.name = "object", .type = JSON_TEXT, .offset = offsetof(struct row, object)},
    {.name = "detail", .type = JSON_TEXT, .offset = offsetof(struct row, detail)},
    {.name = "request_id", .type = JSON_TEXT, .offset = offsetof(struct row, request_id)},
    {.name = "prev_hash", .type = JSON_TEXT, .offset = offsetof(struct row, prev_hash)},
    {.name = "hash", .type = JSON_TEXT, .offset = offsetof(struct row, hash)},
};
static const struct json_shape shape = JSON_SHAPE(struct row, fields);

static const char *hex_of(struct arena *arena, const uint8_t hash[32]) {
    char *hex = arena_alloc(arena, 65);
    if (hex != NULL)
        hex_encode(hash, 32, hex);
    return hex;
}

bool api_audit_list(struct api_call *call, struct err *err) {
    struct api_list list;
    struct db_audits page;
    if (!api_list_begin(call, NULL, true, &list, err) || !db_audit_list(call->db, list.after_number, list.limit, call->arena, &page, err))
        return false;
    struct row *items = arena_array(call->arena, page.count, sizeof(*items));
    const char *last = page.more ? arena_printf(call->arena, "%lld", (long long)page.items[page.count - 1].seq) : NULL;
    if ((items == NULL && page.count > 0) || (page.more && last == NULL))
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++) {
        const struct db_audit *row = &page.items[i];
        items[i] = (struct row){
            .seq = row->seq,
            .time = row->time,
            .actor = row->actor,
            .action = row->action,
            .object = row->object,
            .detail = row->detail,
            .request_id = row->request_id,
            .prev_hash = hex_of(call->arena, row->prev_hash),
            .hash = hex_of(call->arena, row->hash),
        };
        if (items[i].prev_hash == NULL || items[i].hash == NULL)
            return err_no_memory(err);
    }
    return api_list_reply(call, &shape, items, page.count, last, err);
}
