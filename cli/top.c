/* pawl top: the fleet at a glance, drawn again and again on a terminal, once elsewhere. */
#include <stdlib.h>
#include <string.h>

#include "cli/groups.h"
#include "cli/progress.h"
#include "cli/rollouts_watch.h"
#include "cli/table.h"
#include "common/clock.h"
#include "common/text.h"

enum { INTERVAL_DEFAULT_S = 2, INTERVAL_MAX_S = 3600, OUT_MAX_BYTES = 64 << 20, ROLLOUTS_SHOWN = 10, VERSIONS_SHOWN = 5, SAMPLE_MS = 1000 };

struct top_args {
    bool once;
    int64_t interval_s;
};

static const struct cli_option top_options[] = {
    {"once", 0, OPTION_FLAG, offsetof(struct top_args, once), NULL, "one look, also on a terminal"},
    {"interval", 0, OPTION_INT, offsetof(struct top_args, interval_s), "SECONDS", "how often to look [2]"},
};
const struct cli_options cli_top_options = CLI_OPTIONS(struct top_args, top_options);

struct states {
    int64_t pending, active, revoked, retired;
};
struct seen {
    int64_t hour, never;
};
struct installed {
    const char *product, *version;
    int64_t devices;
};
struct state_count {
    const char *state;
    int64_t deployments;
};
struct stats {
    int64_t devices;
    struct states *states;
    struct seen *seen;
    struct json_list installed;   /* struct installed */
    struct json_list deployments; /* struct state_count; null for a token of one product */
};

static const struct json_field states_fields[] = {
    JSON_FIELD(struct states, pending, JSON_INT, JSON_REQUIRED), JSON_FIELD(struct states, active, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct states, revoked, JSON_INT, JSON_REQUIRED), JSON_FIELD(struct states, retired, JSON_INT, JSON_REQUIRED)};
static const struct json_shape states_shape = JSON_SHAPE_OPEN(struct states, states_fields);
static const struct json_field seen_fields[] = {JSON_FIELD(struct seen, hour, JSON_INT, JSON_REQUIRED),
                                                JSON_FIELD(struct seen, never, JSON_INT, JSON_REQUIRED)};
static const struct json_shape seen_shape = JSON_SHAPE_OPEN(struct seen, seen_fields);
static const struct json_field installed_fields[] = {
    JSON_FIELD(struct installed, product, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct installed, version, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct installed, devices, JSON_INT, JSON_REQUIRED),
};
static const struct json_shape installed_shape = JSON_SHAPE_OPEN(struct installed, installed_fields);
static const struct json_field count_fields[] = {
    JSON_FIELD(struct state_count, state, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct state_count, deployments, JSON_INT, JSON_REQUIRED),
};
static const struct json_shape count_shape = JSON_SHAPE_OPEN(struct state_count, count_fields);
static const struct json_field stats_fields[] = {
    JSON_FIELD(struct stats, devices, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct stats, states, JSON_STRUCT, JSON_REQUIRED, .shape = &states_shape),
    JSON_FIELD(struct stats, seen, JSON_STRUCT, JSON_REQUIRED, .shape = &seen_shape),
    JSON_FIELD(struct stats, installed, JSON_STRUCTS, JSON_REQUIRED, .shape = &installed_shape),
    JSON_FIELD(struct stats, deployments, JSON_STRUCTS, JSON_NULLABLE, .shape = &count_shape),
};
static const struct json_shape stats_shape = JSON_SHAPE_OPEN(struct stats, stats_fields);

struct event {
    int64_t time;
    const char *kind, *device, *product;
};
static const struct json_field event_fields[] = {
    JSON_FIELD(struct event, time, JSON_TIME, JSON_REQUIRED),
    JSON_FIELD(struct event, kind, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct event, device, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct event, product, JSON_TEXT, JSON_NULLABLE),
};
static const struct json_shape event_shape = JSON_SHAPE_OPEN(struct event, event_fields);

struct page {
    struct json_list items;
};
static const struct json_field rollouts_fields[] = {JSON_FIELD(struct page, items, JSON_STRUCTS, JSON_REQUIRED, .shape = &cli_rollouts_shape)};
static const struct json_shape rollouts_shape = JSON_SHAPE_OPEN(struct page, rollouts_fields);
static const struct json_field events_fields[] = {JSON_FIELD(struct page, items, JSON_STRUCTS, JSON_REQUIRED, .shape = &event_shape)};
static const struct json_shape events_shape = JSON_SHAPE_OPEN(struct page, events_fields);

/* The polls that the server has counted, and when. */
struct sample {
    bool known; /* false: the token may not read metrics */
    double polls;
    int64_t at_ms;
};

/* One look. The replies of what the token may not read are empty. */
struct look {
    struct cli_reply stats, rollouts, events;
    struct sample sample;
    double rate; /* polls a second; below 0: unknown */
};

/* What a token must not see is left out, not an error. */
static bool get(struct cli *cli, const char *path, struct cli_reply *ret_reply, struct err *err) {
    if (cli_client_get(cli, path, ret_reply, err))
        return true;
    *ret_reply = (struct cli_reply){.body = "", .len = 0};
    return err->code == ERR_FORBIDDEN || err->code == ERR_SCOPE;
}

static bool take_sample(struct cli *cli, struct sample *ret_sample, struct err *err) {
    static const char name[] = "\npawl_polls_total{";
    struct cli_reply reply;
    if (!get(cli, "/metrics", &reply, err))
        return false;
    *ret_sample = (struct sample){.known = reply.len > 0, .at_ms = clock_mono_ms()};
    for (const char *at = reply.len > 0 ? strstr(reply.body, name) : NULL; at != NULL; at = strstr(at + 1, name)) {
        const char *value = strstr(at, "} ");
        ret_sample->polls += value != NULL ? strtod(value + 2, NULL) : 0;
    }
    return true;
}

static double rate_of(const struct sample *before, const struct sample *now) {
    int64_t took_ms = now->at_ms - before->at_ms;
    return before->known && now->known && took_ms > 0 && now->polls >= before->polls ? (now->polls - before->polls) * 1000 / (double)took_ms : -1;
}

static bool fetch(struct cli *cli, const struct sample *before, struct look *ret_look, struct err *err) {
    struct look look;
    if (!cli_client_get(cli, "/api/v1/stats", &look.stats, err) || !get(cli, "/api/v1/rollouts?limit=100", &look.rollouts, err) ||
        !get(cli, "/api/v1/events?limit=10", &look.events, err) || !take_sample(cli, &look.sample, err))
        return false;
    look.rate = rate_of(before, &look.sample);
    *ret_look = look;
    return true;
}

static const char *shown(const char *text) {
    return text != NULL ? text : "?";
}

static void put_line(struct arena *arena, const char *line, size_t columns, bool live, struct buf *out) {
    buf_printf(out, "%s%s\n", cli_table_line(arena, line, columns), live ? "\033[K" : "");
}

static void put_fleet(struct arena *arena, const struct stats *stats, double rate, size_t columns, bool live, struct buf *out) {
    const struct installed *installed = stats->installed.items;
    const struct state_count *counts = stats->deployments.items;
    put_line(arena,
             arena_printf(arena, "devices      %lld: %lld active, %lld pending, %lld revoked, %lld retired; %lld seen within the hour, %lld never",
                          (long long)stats->devices, (long long)stats->states->active, (long long)stats->states->pending,
                          (long long)stats->states->revoked, (long long)stats->states->retired, (long long)stats->seen->hour,
                          (long long)stats->seen->never),
             columns, live, out);
    put_line(arena, rate < 0 ? "polls        ? a second" : arena_printf(arena, "polls        %.1f a second", rate), columns, live, out);
    const char *line = "deployments ";
    for (size_t i = 0; i < stats->deployments.count && line != NULL; i++)
        if (counts[i].deployments > 0)
            line = arena_printf(arena, "%s %lld %s", line, (long long)counts[i].deployments, counts[i].state);
    put_line(arena, line, columns, live, out);
    line = "running     ";
    for (size_t i = 0; i < stats->installed.count && i < VERSIONS_SHOWN && line != NULL; i++)
        line = arena_printf(arena, "%s%s %s %s (%lld)", line, i > 0 ? "," : "", shown(installed[i].product), shown(installed[i].version),
                            (long long)installed[i].devices);
    put_line(arena, line, columns, live, out);
}

static bool put_rollouts(struct arena *arena, const struct cli_reply *reply, size_t columns, bool live, struct buf *out, struct err *err) {
    struct page page;
    size_t drawn = 0;
    if (reply->len == 0)
        return true;
    if (!json_read(arena, reply->body, reply->len, &rollouts_shape, &page, NULL, err))
        return err_prefix(err, "rollouts");
    const struct cli_rollouts_rollout *rollouts = page.items.items;
    for (size_t i = 0; i < page.items.count && drawn < ROLLOUTS_SHOWN; i++) {
        char line[CLI_ROLLOUTS_WATCH_LINE_SIZE];
        const struct cli_rollouts_phase *phases = rollouts[i].phases.items;
        if (!text_equal(rollouts[i].state, "running") && !text_equal(rollouts[i].state, "paused") && !text_equal(rollouts[i].state, "scheduled"))
            continue;
        put_line(arena, drawn++ == 0 ? "" : NULL, columns, live, out);
        cli_rollouts_watch_head(line, &rollouts[i]);
        put_line(arena, line, columns, live, out);
        for (size_t k = 0; k < rollouts[i].phases.count; k++) {
            cli_rollouts_watch_phase(line, &phases[k], k + 1, columns);
            put_line(arena, line, columns, live, out);
        }
    }
    return true;
}

static bool put_events(struct arena *arena, const struct cli_reply *reply, size_t columns, bool live, struct buf *out, struct err *err) {
    struct page page;
    if (reply->len == 0)
        return true;
    if (!json_read(arena, reply->body, reply->len, &events_shape, &page, NULL, err))
        return err_prefix(err, "events");
    const struct event *events = page.items.items;
    if (page.items.count > 0)
        put_line(arena, "", columns, live, out);
    for (size_t i = 0; i < page.items.count; i++) {
        char time[CLOCK_RFC3339_SIZE];
        clock_rfc3339(events[i].time, time);
        put_line(arena,
                 arena_printf(arena, "%s  %-24s %s%s%s", time, events[i].kind, events[i].device != NULL ? events[i].device : "",
                              events[i].product != NULL ? "  " : "", events[i].product != NULL ? events[i].product : ""),
                 columns, live, out);
    }
    return true;
}

static bool draw(struct cli *cli, const struct look *look, bool live, struct err *err) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(OUT_MAX_BYTES);
    size_t columns = live ? cli_progress_columns(cli->out) - 1 : 0;
    char time[CLOCK_RFC3339_SIZE];
    struct stats stats;
    if (!json_read(&cli->arena, look->stats.body, look->stats.len, &stats_shape, &stats, NULL, err))
        return err_prefix(err, "reply of the server");
    clock_rfc3339(clock_now(), time);
    buf_text(&out, live ? "\033[H" : "");
    put_line(&cli->arena, arena_printf(&cli->arena, "%s  %s%s", cli->profile.server, time, live ? "  (Ctrl-C ends)" : ""), columns, live, &out);
    put_line(&cli->arena, "", columns, live, &out);
    put_fleet(&cli->arena, &stats, look->rate, columns, live, &out);
    if (!put_rollouts(&cli->arena, &look->rollouts, columns, live, &out, err) || !put_events(&cli->arena, &look->events, columns, live, &out, err))
        return false;
    buf_text(&out, live ? "\033[J" : "");
    return buf_ok(&out, "output", err) && cli_view_write(cli, &out, err);
}

static void put_member(struct buf *out, const char *name, const struct cli_reply *reply) {
    buf_printf(out, ",\"%s\":", name);
    if (reply->len > 0)
        buf_append(out, reply->body, reply->len);
    else
        buf_text(out, "null");
}

/* One document of the API's own; null is what the token may not read. */
static bool print_json(struct cli *cli, const struct look *look, struct err *err) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(OUT_MAX_BYTES);
    char time[CLOCK_RFC3339_SIZE];
    clock_rfc3339(clock_now(), time);
    buf_printf(&out, "{\"time\":\"%s\",\"polls_per_second\":", time);
    if (look->rate < 0)
        buf_text(&out, "null");
    else
        buf_printf(&out, "\"%.1f\"", look->rate);
    put_member(&out, "stats", &look->stats);
    put_member(&out, "rollouts", &look->rollouts);
    put_member(&out, "events", &look->events);
    buf_text(&out, "}");
    return buf_ok(&out, "output", err) && cli_view_json(cli, out.data, out.len, err);
}

/* What stays from look to look. */
struct top {
    bool live;
    struct sample sample; /* of the look before */
};

static bool look_once(struct cli *cli, void *context, struct err *err) {
    struct top *top = context;
    struct look look;
    if (!fetch(cli, &top->sample, &look, err))
        return false;
    top->sample = look.sample;
    return cli->json ? print_json(cli, &look, err) : draw(cli, &look, top->live, err);
}

bool cli_top_show(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct top_args *given = args;
    int64_t interval_s = given->interval_s == 0 ? INTERVAL_DEFAULT_S : given->interval_s;
    struct top top = {.live = cli->can_redraw && !cli->json && !given->once};
    if (interval_s < 1 || interval_s > INTERVAL_MAX_S)
        return err_set(err, ERR_USAGE, "--interval must be 1 to %d seconds", INTERVAL_MAX_S);
    if (!take_sample(cli, &top.sample, err))
        return false;
    clock_sleep_ms(top.sample.known ? SAMPLE_MS : 0);
    if (top.live)
        fputs("\033[2J", cli->out);
    bool seen = cli_aside(cli, look_once, &top, err);
    while (seen && top.live) {
        clock_sleep_ms(interval_s * 1000);
        seen = cli_aside(cli, look_once, &top, err);
    }
    return seen;
}
