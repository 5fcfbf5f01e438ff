#include "cli/groups.h"
#include "cli/table.h"
#include "cli/view.h"
#include "common/clock.h"
#include "common/text.h"

struct offered {
    const char *product, *version;
};

struct open_one {
    const char *id, *product, *version, *state;
};

struct floor {
    int64_t sequence, security_version;
};

struct considered {
    const char *id, *name, *version, *state, *member, *reason, *text;
    int64_t phase, valid_until;
};

struct decision {
    const char *device, *reason, *text, *origin, *policy;
    struct offered *release, *waiting;
    struct open_one *deployment;
    struct floor *floor;
    struct json_list rollouts; /* struct considered */
    int64_t valid_until;
};

static const struct json_field offered_fields[] = {JSON_FIELD(struct offered, product, JSON_TEXT, JSON_NULLABLE),
                                                   JSON_FIELD(struct offered, version, JSON_TEXT, JSON_NULLABLE)};
static const struct json_shape offered_shape = JSON_SHAPE_OPEN(struct offered, offered_fields);
static const struct json_field open_fields[] = {
    JSON_FIELD(struct open_one, id, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct open_one, product, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct open_one, version, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct open_one, state, JSON_TEXT, JSON_NULLABLE),
};
static const struct json_shape open_shape = JSON_SHAPE_OPEN(struct open_one, open_fields);
static const struct json_field floor_fields[] = {JSON_FIELD(struct floor, sequence, JSON_INT, JSON_NULLABLE),
                                                 JSON_FIELD(struct floor, security_version, JSON_INT, JSON_NULLABLE)};
static const struct json_shape floor_shape = JSON_SHAPE_OPEN(struct floor, floor_fields);
static const struct json_field considered_fields[] = {
    JSON_FIELD(struct considered, id, JSON_TEXT, JSON_NULLABLE),          JSON_FIELD(struct considered, name, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct considered, version, JSON_TEXT, JSON_NULLABLE),     JSON_FIELD(struct considered, state, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct considered, phase, JSON_INT, JSON_NULLABLE),        JSON_FIELD(struct considered, member, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct considered, reason, JSON_TEXT, JSON_NULLABLE),      JSON_FIELD(struct considered, text, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct considered, valid_until, JSON_TIME, JSON_NULLABLE),
};
static const struct json_shape considered_shape = JSON_SHAPE_OPEN(struct considered, considered_fields);
static const struct json_field decision_fields[] = {
    JSON_FIELD(struct decision, device, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct decision, reason, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct decision, text, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct decision, origin, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct decision, policy, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct decision, release, JSON_STRUCT, JSON_NULLABLE, .shape = &offered_shape),
    JSON_FIELD(struct decision, deployment, JSON_STRUCT, JSON_NULLABLE, .shape = &open_shape),
    JSON_FIELD(struct decision, waiting, JSON_STRUCT, JSON_NULLABLE, .shape = &offered_shape),
    JSON_FIELD(struct decision, floor, JSON_STRUCT, JSON_NULLABLE, .shape = &floor_shape),
    JSON_FIELD(struct decision, rollouts, JSON_STRUCTS, JSON_NULLABLE, .shape = &considered_shape),
    JSON_FIELD(struct decision, valid_until, JSON_TIME, JSON_NULLABLE),
};
static const struct json_shape decision_shape = JSON_SHAPE_OPEN(struct decision, decision_fields);

static const char *format_release(struct arena *arena, const void *object) {
    const struct offered *release = ((const struct decision *)object)->release;
    return release == NULL ? NULL : arena_printf(arena, "%s/%s", release->product, release->version);
}

static const char *format_waiting(struct arena *arena, const void *object) {
    const struct offered *waiting = ((const struct decision *)object)->waiting;
    return waiting == NULL ? NULL : arena_printf(arena, "%s/%s", waiting->product, waiting->version);
}

static const char *format_open(struct arena *arena, const void *object) {
    const struct open_one *open = ((const struct decision *)object)->deployment;
    return open == NULL ? NULL : arena_printf(arena, "%s: %s/%s, %s", open->id, open->product, open->version, open->state);
}

static const char *format_floor(struct arena *arena, const void *object) {
    const struct floor *floor = ((const struct decision *)object)->floor;
    return floor == NULL
               ? NULL
               : arena_printf(arena, "sequence %lld, security version %lld", (long long)floor->sequence, (long long)floor->security_version);
}

static const struct cli_column columns[] = {
    {.title = "device", .field = "device"},
    {.title = "reason", .field = "reason"},
    {.title = "which means", .field = "text"},
    {.title = "release", .format = format_release},
    {.title = "origin", .field = "origin"},
    {.title = "deployment", .format = format_open},
    {.title = "waits for its end", .format = format_waiting},
    {.title = "policy", .field = "policy"},
    {.title = "floor", .format = format_floor},
    {.title = "stands until", .field = "valid_until"},
};
static const struct cli_view decision_view = {
    .shape = &decision_shape, .list = columns, .list_count = ARRAY_LEN(columns), .show = columns, .show_count = ARRAY_LEN(columns)};

/* One line for each rollout that was considered, under the decision. */
static bool print_rollouts(struct cli *cli, const struct decision *decision, struct err *err) {
    const struct considered *items = decision->rollouts.items;
    CLEANUP(buf_free) struct buf out = BUF_INIT(1 << 20);
    for (size_t i = 0; i < decision->rollouts.count; i++) {
        const struct considered *item = &items[i];
        char time[CLOCK_RFC3339_SIZE] = "";
        clock_rfc3339(item->valid_until, time);
        const char *where = item->phase == 0 ? "no member" : arena_printf(&cli->arena, "phase %lld, %s", (long long)item->phase, item->member);
        const char *line = arena_printf(&cli->arena, "rollout %s %s, %s, %s: %s (%s)%s%s", item->id, item->version, item->state, where, item->reason,
                                        item->text, item->valid_until == 0 ? "" : ", until ", item->valid_until == 0 ? "" : time);
        const char *clean = line == NULL ? NULL : cli_table_clean(&cli->arena, line);
        if (clean == NULL)
            return err_no_memory(err);
        buf_printf(&out, "%s\n", clean);
    }
    return cli_view_write(cli, &out, err);
}

bool cli_decision_show(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    const char *path = cli_view_path(&cli->arena, "/api/v1/devices", operands->items[0], "decision", (char *)NULL);
    struct cli_reply reply;
    struct decision decision;
    if (!cli_client_get(cli, path, &reply, err) || !cli_view_show(cli, &reply, &decision_view, err))
        return false;
    if (cli->json)
        return true;
    if (!json_read(&cli->arena, reply.body, reply.len, &decision_shape, &decision, NULL, err))
        return err_prefix(err, "reply of the server");
    return print_rollouts(cli, &decision, err);
}
