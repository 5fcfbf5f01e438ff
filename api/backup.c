#include "api/backup.h"

#include "api/call.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/reply.h"

static const struct json_field fields[] = {
    {.name = "name", .type = JSON_TEXT, .offset = offsetof(struct api_backup, name)},
    {.name = "state", .type = JSON_TEXT, .offset = offsetof(struct api_backup, state)},
    {.name = "bytes", .type = JSON_INT, .offset = offsetof(struct api_backup, bytes)},
    {.name = "total_bytes", .type = JSON_INT, .offset = offsetof(struct api_backup, total_bytes)},
    {.name = "created_at", .type = JSON_TIME, .offset = offsetof(struct api_backup, created_at)},
    {.name = "error", .type = JSON_TEXT, .offset = offsetof(struct api_backup, error), .flags = JSON_NULLABLE},
};
static const struct json_shape shape = JSON_SHAPE(struct api_backup, fields);

/* All of them are one page. */
struct list {
    struct json_list items;
    const char *next;
};

static const struct json_field list_fields[] = {
    {.name = "items", .type = JSON_STRUCTS, .offset = offsetof(struct list, items), .shape = &shape},
    {.name = "next", .type = JSON_TEXT, .offset = offsetof(struct list, next), .flags = JSON_NULLABLE},
};
static const struct json_shape list_shape = JSON_SHAPE(struct list, list_fields);

bool api_backup_list(struct api_call *call, struct err *err) {
    struct api_backups backups;
    if (!call->env->backups(call->env->server, call->arena, &backups, err))
        return false;
    const struct list list = {.items = {.count = backups.count, .items = backups.items}};
    return api_reply_json(call, 0, &list_shape, &list, err);
}

bool api_backup_create(struct api_call *call, struct err *err) {
    struct api_backup backup;
    const char *reason;
    return api_reason(call, &reason, err) && call->env->backup_start(call->env->server, call->arena, call->now, &backup, err) &&
           api_audit(call, "backup.create", "backup", backup.name, api_detail(call, "reason", reason, (char *)NULL), err) &&
           api_reply_json(call, 202, &shape, &backup, err);
}
