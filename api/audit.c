#include <string.h>

#include "db/checkpoint.h"

#include "api/call.h"
#include "api/handlers.h"
#include "api/list.h"
#include "common/hex.h"
#include "common/text.h"
#include "trust/checkpoint.h"

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

static bool row_from(struct arena *arena, const struct chain_row *row, struct row *ret_row, struct err *err) {
    *ret_row = (struct row){
        .seq = row->seq,
        .time = row->time,
        .actor = row->actor,
        .action = row->action,
        .object = row->object,
        .detail = row->detail,
        .request_id = row->request_id,
        .prev_hash = hex_of(arena, row->prev_hash),
        .hash = hex_of(arena, row->hash),
    };
    return (ret_row->prev_hash != NULL && ret_row->hash != NULL) || err_no_memory(err);
}

bool api_audit_list(struct api_call *call, struct err *err) {
    struct db_list list;
    struct db_audits page;
    struct db_audit_filter filter = {.action = api_query(call, "action"), .actor = api_query(call, "actor"), .object = api_query(call, "object")};
    if (!api_list_begin(call, &list, err) || !api_query_time(call, "since", &filter.since, err) ||
        !db_audit_list(call->db, &filter, &list, call->arena, &page, err))
        return false;
    struct row *items = arena_array(call->arena, page.count, sizeof(*items));
    if (items == NULL && page.count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < page.count; i++)
        if (!row_from(call->arena, &page.items[i], &items[i], err))
            return false;
    return api_list_reply(call, &shape, items, page.count, page.next, err);
}

bool api_audit_checkpoint(struct api_call *call, struct err *err) {
    struct buf text CLEANUP(buf_free) = BUF_INIT(4096);
    struct db_checkpoint last;
    if (!db_checkpoint_last(call->db, call->arena, &last, err))
        return false;
    if (last.seq == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no checkpoint yet: the audit is empty, or its first rows are younger than a minute");
    struct checkpoint checkpoint = {.seq = last.seq, .time = last.time, .signature = {.len = last.signature_len}};
    if (last.signature_len > sizeof(checkpoint.signature.bytes) || !text_copy(checkpoint.key_id, sizeof(checkpoint.key_id), last.key_id))
        return err_set(err, ERR_INTERNAL, "the stored checkpoint of row %lld is no checkpoint", (long long)last.seq);
    memcpy(checkpoint.hash, last.hash, sizeof(checkpoint.hash));
    memcpy(checkpoint.signature.bytes, last.signature, last.signature_len);
    return checkpoint_write(&checkpoint, &text, err) && api_reply_text(call, "application/json", &text, err);
}
