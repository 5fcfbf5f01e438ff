#include <string.h>

#include "cli/groups.h"
#include "cli/progress.h"
#include "cli/view.h"
#include "common/clock.h"
#include "common/text.h"

#define BACKUPS "/api/v1/backups"

enum { POLL_MS = 500 };

struct backup {
    const char *name, *state, *error;
    int64_t bytes, total_bytes, created_at;
};

static const struct json_field backup_fields[] = {
    JSON_FIELD(struct backup, name, JSON_TEXT, JSON_REQUIRED),       JSON_FIELD(struct backup, state, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct backup, bytes, JSON_INT, JSON_REQUIRED),       JSON_FIELD(struct backup, total_bytes, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct backup, created_at, JSON_TIME, JSON_REQUIRED), JSON_FIELD(struct backup, error, JSON_TEXT, JSON_NULLABLE),
};
static const struct json_shape backup_shape = JSON_SHAPE_OPEN(struct backup, backup_fields);

struct list {
    struct json_list items;
};
static const struct json_field list_fields[] = {JSON_FIELD(struct list, items, JSON_STRUCTS, JSON_REQUIRED, .shape = &backup_shape)};
static const struct json_shape list_shape = JSON_SHAPE_OPEN(struct list, list_fields);

static const struct cli_column columns[] = {
    {.title = "BACKUP", .field = "name"},     {.title = "STATE", .field = "state"}, {.title = "BYTES", .field = "bytes"},
    {.title = "MADE", .field = "created_at"}, {.title = "NOTE", .field = "error"},
};
static const struct cli_view view = {
    .shape = &backup_shape, .list = columns, .list_count = ARRAY_LEN(columns), .none = "no backups", .unpaged = true};

struct create_args {
    bool no_wait;
};
static const struct cli_option create_options[] = {
    {"no-wait", 0, OPTION_FLAG, offsetof(struct create_args, no_wait), NULL, "do not wait until it is complete"},
};
const struct cli_options cli_backup_create_options = CLI_OPTIONS(struct create_args, create_options);

/* What the server says now of the backup of this name. */
static bool look(struct cli *cli, const char *name, struct backup *ret_backup, struct err *err) {
    struct cli_reply reply;
    struct list list;
    if (!cli_client_get(cli, BACKUPS, &reply, err))
        return false;
    if (!json_read(&cli->arena, reply.body, reply.len, &list_shape, &list, NULL, err))
        return err_prefix(err, "reply of the server");
    const struct backup *items = list.items.items;
    for (size_t i = 0; i < list.items.count; i++)
        if (text_equal(items[i].name, name)) {
            *ret_backup = items[i];
            return true;
        }
    return err_set(err, ERR_NOT_FOUND, "backup %s is not there any more", name);
}

struct waiting {
    const char *name;
    bool running;
    struct cli_progress progress;
};

static bool look_on(struct cli *cli, void *context, struct err *err) {
    struct waiting *waiting = context;
    struct backup now;
    if (!look(cli, waiting->name, &now, err))
        return false;
    waiting->running = text_equal(now.state, "running");
    cli_progress_update(&waiting->progress, now.bytes, now.total_bytes);
    return true;
}

static bool wait_for(struct cli *cli, struct backup *backup, struct err *err) {
    struct waiting waiting = {.name = backup->name, .running = text_equal(backup->state, "running")};
    cli_progress_begin(&waiting.progress, cli->can_show_progress ? cli->notes : NULL, "backing up");
    bool seen = true;
    while (seen && waiting.running) {
        clock_sleep_ms(POLL_MS);
        seen = cli_aside(cli, look_on, &waiting, err);
    }
    seen = seen && look(cli, backup->name, backup, err);
    cli_progress_end(&waiting.progress, backup->bytes, backup->total_bytes);
    return seen;
}

bool cli_backup_create(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct create_args *create = args;
    CLEANUP(buf_free) struct buf body = BUF_INIT(16);
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    struct cli_reply reply;
    struct backup backup;
    buf_text(&body, "{}");
    if (!cli_client_post(cli, BACKUPS, &body, &reply, err))
        return false;
    if (!json_read(&cli->arena, reply.body, reply.len, &backup_shape, &backup, NULL, err))
        return err_prefix(err, "reply of the server");
    if (!create->no_wait && !wait_for(cli, &backup, err))
        return false;
    if (text_equal(backup.state, "failed"))
        return err_set(err, ERR_IO, "backup %s failed: %s", backup.name, backup.error != NULL ? backup.error : "see the server's log");
    if (backup.error != NULL)
        cli_note(cli, "%s", backup.error);
    if (cli->json)
        json_write(&out, &backup_shape, &backup);
    else
        buf_printf(&out, "%s\n", backup.name);
    return buf_ok(&out, "output", err) && (cli->json ? cli_view_json(cli, out.data, out.len, err) : cli_view_write(cli, &out, err));
}

bool cli_backup_list(struct cli *cli, const void *args UNUSED, const struct option_texts *operands UNUSED, struct err *err) {
    return cli_view_list(cli, BACKUPS, NULL, 0, 0, &view, err);
}
