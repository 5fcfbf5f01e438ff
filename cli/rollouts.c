#include "cli/rollouts.h"

#include "cli/groups.h"
#include "cli/prompt.h"
#include "cli/verb.h"
#include "common/clock.h"
#include "common/text.h"

static const struct json_field counts_fields[] = {
    JSON_FIELD(struct cli_rollouts_counts, devices, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_counts, waiting, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_counts, in_flight, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_counts, retrying, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_counts, confirmed, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_counts, failed, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_counts, timed_out, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_counts, cancelled, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_counts, skipped, JSON_INT, JSON_NULLABLE),
};
static const struct json_shape counts_shape = JSON_SHAPE_OPEN(struct cli_rollouts_counts, counts_fields);

static const struct json_field phase_fields[] = {
    JSON_FIELD(struct cli_rollouts_phase, percent, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_phase, count, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_phase, rest, JSON_BOOL, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_phase, success_percent, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_phase, error_percent, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_phase, error_count, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_phase, soak_s, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_phase, deadline_s, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_phase, state, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct cli_rollouts_phase, opened_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_phase, deadline_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_phase, soaked_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_phase, counts, JSON_STRUCT, JSON_REQUIRED, .shape = &counts_shape),
};
static const struct json_shape phase_shape = JSON_SHAPE_OPEN(struct cli_rollouts_phase, phase_fields);

static const struct json_field window_fields[] = {
    JSON_FIELD(struct cli_rollouts_window, days, JSON_TEXT, JSON_NULLABLE), JSON_FIELD(struct cli_rollouts_window, from, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_window, to, JSON_TEXT, JSON_NULLABLE),   JSON_FIELD(struct cli_rollouts_window, zone, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_window, tag, JSON_TEXT, JSON_NULLABLE),
};
static const struct json_shape window_shape = JSON_SHAPE_OPEN(struct cli_rollouts_window, window_fields);

static const struct json_field rollout_fields[] = {
    JSON_FIELD(struct cli_rollouts_rollout, id, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct cli_rollouts_rollout, name, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, product, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, version, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, filter, JSON_TEXT, JSON_NULLABLE, .max = 8192),
    JSON_FIELD(struct cli_rollouts_rollout, ids, JSON_TEXTS, JSON_NULLABLE, .max = 100000),
    JSON_FIELD(struct cli_rollouts_rollout, phases, JSON_STRUCTS, JSON_NULLABLE, .shape = &phase_shape),
    JSON_FIELD(struct cli_rollouts_rollout, windows, JSON_STRUCTS, JSON_NULLABLE, .shape = &window_shape),
    JSON_FIELD(struct cli_rollouts_rollout, max_in_flight, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, mode, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, continuous, JSON_BOOL, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, start_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, state, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct cli_rollouts_rollout, reason, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, waits_for, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, waits_until, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, phase, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, working, JSON_BOOL, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, counts, JSON_STRUCT, JSON_REQUIRED, .shape = &counts_shape),
    JSON_FIELD(struct cli_rollouts_rollout, approval, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, approved_by, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, created_by, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, created_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, started_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, paused_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct cli_rollouts_rollout, closed_at, JSON_TIME, JSON_NULLABLE),
};
const struct json_shape cli_rollouts_shape = JSON_SHAPE_OPEN(struct cli_rollouts_rollout, rollout_fields);

void cli_rollouts_size(char ret_text[CLI_ROLLOUTS_SIZE_SIZE], const struct cli_rollouts_phase *phase) {
    if (phase->percent != 0)
        snprintf(ret_text, CLI_ROLLOUTS_SIZE_SIZE, "%lld %%", (long long)phase->percent);
    else if (phase->count != 0)
        snprintf(ret_text, CLI_ROLLOUTS_SIZE_SIZE, "%lld devices", (long long)phase->count);
    else
        snprintf(ret_text, CLI_ROLLOUTS_SIZE_SIZE, "the rest");
}

const char *cli_rollouts_duration(struct arena *arena, int64_t seconds) {
    static const struct {
        int64_t seconds;
        char letter;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t unit = 0;
    while (seconds == 0 || seconds % units[unit].seconds != 0)
        if (++unit == ARRAY_LEN(units) - 1)
            break;
    return arena_printf(arena, "%lld%c", (long long)(seconds / units[unit].seconds), units[unit].letter);
}

static const char *format_release(struct arena *arena, const void *object) {
    const struct cli_rollouts_rollout *rollout = object;
    return arena_printf(arena, "%s/%s", rollout->product, rollout->version);
}

static const char *format_state(struct arena *arena, const void *object) {
    const struct cli_rollouts_rollout *rollout = object;
    const char *more = rollout->reason != NULL ? rollout->reason : text_equal(rollout->approval, "awaited") ? "awaiting approval" : NULL;
    return more == NULL ? rollout->state : arena_printf(arena, "%s (%s)", rollout->state, more);
}

static const char *format_phase(struct arena *arena, const void *object) {
    const struct cli_rollouts_rollout *rollout = object;
    return rollout->phase == 0 ? NULL : arena_printf(arena, "%lld of %zu", (long long)rollout->phase, rollout->phases.count);
}

static const char *format_confirmed(struct arena *arena, const void *object) {
    const struct cli_rollouts_counts *counts = ((const struct cli_rollouts_rollout *)object)->counts;
    return counts->devices == 0 ? NULL : arena_printf(arena, "%lld of %lld", (long long)counts->confirmed, (long long)counts->devices);
}

static const char *format_failed(struct arena *arena, const void *object) {
    const struct cli_rollouts_counts *counts = ((const struct cli_rollouts_rollout *)object)->counts;
    return arena_printf(arena, "%lld", (long long)(counts->failed + counts->timed_out + counts->retrying));
}

static const char *format_devices(struct arena *arena, const void *object) {
    const struct cli_rollouts_rollout *rollout = object;
    if (rollout->ids.count > 0)
        return arena_printf(arena, "a list of %zu", rollout->ids.count);
    return rollout->filter != NULL ? rollout->filter : "all of the product";
}

static const char *format_counts(struct arena *arena, const void *object) {
    const struct cli_rollouts_counts *counts = ((const struct cli_rollouts_rollout *)object)->counts;
    return arena_printf(
        arena, "%lld: %lld confirmed, %lld in flight, %lld retrying, %lld waiting, %lld failed, %lld timed out, %lld cancelled, %lld skipped",
        (long long)counts->devices, (long long)counts->confirmed, (long long)counts->in_flight, (long long)counts->retrying,
        (long long)counts->waiting, (long long)counts->failed, (long long)counts->timed_out, (long long)counts->cancelled,
        (long long)counts->skipped);
}

static const char *format_phases(struct arena *arena, const void *object) {
    const struct cli_rollouts_rollout *rollout = object;
    const struct cli_rollouts_phase *phases = rollout->phases.items;
    const char *text = "";
    for (size_t i = 0; i < rollout->phases.count && text != NULL; i++) {
        const struct cli_rollouts_phase *phase = &phases[i];
        bool by_count = phase->error_count != 0;
        char size[CLI_ROLLOUTS_SIZE_SIZE];
        cli_rollouts_size(size, phase);
        text = arena_printf(arena, "%s%s%s %s (success %lld %%, errors %lld%s, soak %s, deadline %s)", text, i == 0 ? "" : "; ", size, phase->state,
                            (long long)phase->success_percent, (long long)(by_count ? phase->error_count : phase->error_percent),
                            by_count ? "" : " %", cli_rollouts_duration(arena, phase->soak_s), cli_rollouts_duration(arena, phase->deadline_s));
    }
    return text;
}

static const char *format_windows(struct arena *arena, const void *object) {
    const struct cli_rollouts_rollout *rollout = object;
    const struct cli_rollouts_window *windows = rollout->windows.items;
    const char *text = rollout->windows.count == 0 ? NULL : "";
    for (size_t i = 0; i < rollout->windows.count && text != NULL; i++)
        text = arena_printf(arena, "%s%s%s %s-%s %s%s%s", text, i == 0 ? "" : "; ", windows[i].days, windows[i].from, windows[i].to, windows[i].zone,
                            windows[i].tag == NULL ? "" : " for tag ", windows[i].tag == NULL ? "" : windows[i].tag);
    return text;
}

static const char *format_waits(struct arena *arena, const void *object) {
    const struct cli_rollouts_rollout *rollout = object;
    char time[CLOCK_RFC3339_SIZE];
    if (rollout->waits_for == NULL || rollout->waits_until == 0)
        return rollout->waits_for;
    clock_rfc3339(rollout->waits_until, time);
    return arena_printf(arena, "%s, until %s", rollout->waits_for, time);
}

static const struct cli_column list_columns[] = {
    {.title = "ROLLOUT", .field = "id"},
    {.title = "NAME", .field = "name"},
    {.title = "RELEASE", .format = format_release},
    {.title = "STATE", .format = format_state},
    {.title = "PHASE", .format = format_phase},
    {.title = "CONFIRMED", .format = format_confirmed},
    {.title = "FAILED", .format = format_failed, .right = true},
    {.title = "CREATED", .field = "created_at"},
};
static const struct cli_column show_columns[] = {
    {.title = "rollout", .field = "id"},
    {.title = "name", .field = "name"},
    {.title = "release", .format = format_release},
    {.title = "state", .format = format_state},
    {.title = "waits for", .format = format_waits},
    {.title = "devices", .format = format_devices},
    {.title = "phase", .format = format_phase},
    {.title = "phases", .format = format_phases},
    {.title = "counts", .format = format_counts},
    {.title = "windows", .format = format_windows},
    {.title = "max in flight", .field = "max_in_flight", .zero_is_none = true},
    {.title = "mode", .field = "mode"},
    {.title = "continuous", .field = "continuous"},
    {.title = "starts at", .field = "start_at"},
    {.title = "approval", .field = "approval"},
    {.title = "approved by", .field = "approved_by"},
    {.title = "created by", .field = "created_by"},
    {.title = "created", .field = "created_at"},
    {.title = "started", .field = "started_at"},
    {.title = "paused", .field = "paused_at"},
    {.title = "closed", .field = "closed_at"},
};
const struct cli_view cli_rollouts_view = {
    .shape = &cli_rollouts_shape,
    .list = list_columns,
    .list_count = ARRAY_LEN(list_columns),
    .show = show_columns,
    .show_count = ARRAY_LEN(show_columns),
    .none = "no such rollouts",
};

struct member {
    const char *device, *state, *deployment;
    int64_t phase, due_at, updated_at;
};

static const struct json_field member_fields[] = {
    JSON_FIELD(struct member, device, JSON_TEXT, JSON_NULLABLE), JSON_FIELD(struct member, phase, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct member, state, JSON_TEXT, JSON_NULLABLE),  JSON_FIELD(struct member, deployment, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct member, due_at, JSON_TIME, JSON_NULLABLE), JSON_FIELD(struct member, updated_at, JSON_TIME, JSON_NULLABLE),
};
static const struct json_shape member_shape = JSON_SHAPE_OPEN(struct member, member_fields);
static const struct cli_column member_columns[] = {
    {.title = "DEVICE", .field = "device"},   {.title = "PHASE", .field = "phase", .right = true},
    {.title = "STATE", .field = "state"},     {.title = "DEPLOYMENT", .field = "deployment"},
    {.title = "DEADLINE", .field = "due_at"}, {.title = "UPDATED", .field = "updated_at"},
};
static const struct cli_view member_view = {
    .shape = &member_shape, .list = member_columns, .list_count = ARRAY_LEN(member_columns), .none = "no such devices in this rollout"};

struct list_args {
    const char *product, *state;
    struct cli_paging paging;
};

static const struct cli_option list_options[] = {
    {"product", 0, OPTION_TEXT, offsetof(struct list_args, product), "PRODUCT", "only of this product"},
    {"state", 0, OPTION_TEXT, offsetof(struct list_args, state), "STATE", "only draft, scheduled, running, paused, completed or stopped ones"},
    CLI_PAGING_OPTIONS(offsetof(struct list_args, paging), "created_at or name", "-created_at"),
};
const struct cli_options cli_rollouts_list_options = CLI_OPTIONS(struct list_args, list_options);

struct devices_args {
    const char *state, *phase;
    struct cli_paging paging;
};

static const struct cli_option devices_options[] = {
    {"state", 0, OPTION_TEXT, offsetof(struct devices_args, state), "STATE",
     "only waiting, in-flight, retrying, confirmed, failed, timed-out, cancelled or skipped ones"},
    {"phase", 0, OPTION_TEXT, offsetof(struct devices_args, phase), "N", "only of this phase, counted from 1"},
    CLI_PAGING_OPTIONS(offsetof(struct devices_args, paging), "device or phase", "with --state and no --phase only phase, else only device"),
};
const struct cli_options cli_rollouts_devices_options = CLI_OPTIONS(struct devices_args, devices_options);

bool cli_rollouts_list(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct list_args *list = args;
    const struct cli_query query[] = {{"product", list->product}, {"state", list->state}};
    return cli_view_list(cli, CLI_ROLLOUTS, query, ARRAY_LEN(query), &list->paging, &cli_rollouts_view, err);
}

bool cli_rollouts_show(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    return cli_view_get(cli, cli_view_path(&cli->arena, CLI_ROLLOUTS, operands->items[0], (char *)NULL), &cli_rollouts_view, err);
}

bool cli_rollouts_devices(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct devices_args *devices = args;
    const struct cli_query query[] = {{"state", devices->state}, {"phase", devices->phase}};
    const char *path = cli_view_path(&cli->arena, CLI_ROLLOUTS, operands->items[0], "devices", (char *)NULL);
    return cli_view_list(cli, path, query, ARRAY_LEN(query), &devices->paging, &member_view, err);
}

bool cli_rollouts_pause(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct cli_verb verb = {.collection = CLI_ROLLOUTS, .name = "pause", .view = &cli_rollouts_view};
    return cli_verb_run(cli, &verb, operands->items[0], args, err);
}

bool cli_rollouts_resume(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct cli_verb verb = {.collection = CLI_ROLLOUTS, .name = "resume", .view = &cli_rollouts_view};
    return cli_verb_run(cli, &verb, operands->items[0], args, err);
}

/* What is approved is what was shown. */
bool cli_rollouts_approve(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct cli_verb_args *given = args;
    const char *path = cli_view_path(&cli->arena, CLI_ROLLOUTS, operands->items[0], (char *)NULL);
    const char *approve = cli_view_path(&cli->arena, CLI_ROLLOUTS, operands->items[0], "approve", (char *)NULL);
    const char *question = arena_printf(&cli->arena, "approve %s: let it begin as shown?", operands->items[0]);
    struct cli_reply shown, reply;
    if (!cli_client_get(cli, path, &shown, err) || (!cli->yes && !cli_view_note(cli, &shown, &cli_rollouts_view, err)))
        return false;
    return cli_prompt_confirm(cli, question, err) && cli_verb_post(cli, approve, &shown, given->reason, &reply, err) &&
           cli_view_show(cli, &reply, &cli_rollouts_view, err);
}

bool cli_rollouts_retry(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct cli_verb verb = {.collection = CLI_ROLLOUTS, .name = "retry", .view = &cli_rollouts_view};
    return cli_verb_run(cli, &verb, operands->items[0], args, err);
}

bool cli_rollouts_stop(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct cli_verb verb = {
        .collection = CLI_ROLLOUTS, .name = "stop", .question = "end it for good and cancel what is open?", .view = &cli_rollouts_view};
    return cli_verb_run(cli, &verb, operands->items[0], args, err);
}

bool cli_rollouts_delete(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    const struct cli_verb verb = {.collection = CLI_ROLLOUTS, .name = "delete", .question = "take the draft away?"};
    return cli_verb_delete(cli, &verb, operands->items[0], "taken away", err);
}
