#include "cli/rollouts_watch.h"

#include <string.h>

#include "cli/groups.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "common/clock.h"
#include "common/text.h"

enum { BAR_MIN = 5, INTERVAL_DEFAULT_S = 2, INTERVAL_MAX_S = 3600, OUT_MAX_BYTES = 4 << 20 };

struct watch_args {
    int64_t interval_s;
};

static const struct cli_option watch_options[] = {
    {"interval", 0, OPTION_INT, offsetof(struct watch_args, interval_s), "SECONDS", "how often to look [2]"},
};
const struct cli_options cli_rollouts_watch_options = CLI_OPTIONS(struct watch_args, watch_options);

/* One kind of device in the bar: its sign, and how many. What has any gets at least one cell. */
struct part {
    char sign;
    int64_t devices;
};

static void draw_bar(char *ret_cells, size_t width, const struct part *parts, size_t count, int64_t total) {
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t devices = parts[i].devices < 0 ? 0 : parts[i].devices > total ? total : parts[i].devices;
        size_t cells = devices == 0 ? 0 : (size_t)((double)devices * (double)width / (double)total);
        cells = cells == 0 && devices > 0 ? 1 : cells;
        cells = cells > width - used ? width - used : cells;
        memset(ret_cells + used, parts[i].sign, cells);
        used += cells;
    }
    memset(ret_cells + used, '.', width - used);
    ret_cells[width] = '\0';
}

static void add_count(char *text, size_t size, int64_t devices, const char *what) {
    size_t len = strlen(text);
    if (devices > 0)
        snprintf(text + len, size - len, ", %lld %s", (long long)devices, what);
}

void cli_rollouts_watch_phase(char ret_line[CLI_ROLLOUTS_WATCH_LINE_SIZE], const struct cli_rollouts_phase *phase, size_t number, size_t columns) {
    const struct cli_rollouts_counts *counts = phase->counts;
    const struct part parts[] = {
        {'!', counts->failed + counts->timed_out},  {'#', counts->confirmed}, {'~', counts->retrying}, {'>', counts->in_flight},
        {'-', counts->cancelled + counts->skipped},
    };
    char size[CLI_ROLLOUTS_SIZE_SIZE];
    char head[96];
    char tail[256];
    cli_rollouts_size(size, phase);
    snprintf(head, sizeof(head), "phase %-2zu %-12s %-8.16s", number, size, phase->state);
    snprintf(tail, sizeof(tail), "%lld of %lld confirmed", (long long)counts->confirmed, (long long)counts->devices);
    add_count(tail, sizeof(tail), counts->in_flight, "in flight");
    add_count(tail, sizeof(tail), counts->failed, "failed");
    add_count(tail, sizeof(tail), counts->timed_out, "timed out");
    add_count(tail, sizeof(tail), counts->retrying, "retrying");
    add_count(tail, sizeof(tail), counts->cancelled, "cancelled");
    add_count(tail, sizeof(tail), counts->skipped, "skipped");
    size_t taken = strlen(head) + strlen(tail) + 6; /* "  [" and "]  " and the last column */
    size_t width = columns > taken ? columns - taken : 0;
    width = width > CLI_ROLLOUTS_WATCH_BAR_MAX ? CLI_ROLLOUTS_WATCH_BAR_MAX : width;
    char cells[CLI_ROLLOUTS_WATCH_BAR_MAX + 1];
    if (width < BAR_MIN) {
        snprintf(ret_line, CLI_ROLLOUTS_WATCH_LINE_SIZE, "%s  %s", head, tail);
    } else {
        draw_bar(cells, width, parts, ARRAY_LEN(parts), counts->devices < 0 ? 0 : counts->devices);
        snprintf(ret_line, CLI_ROLLOUTS_WATCH_LINE_SIZE, "%s  [%s]  %s", head, cells, tail);
    }
    if (columns > 0 && strlen(ret_line) > columns)
        ret_line[columns] = '\0';
}

void cli_rollouts_watch_head(char ret_line[CLI_ROLLOUTS_WATCH_LINE_SIZE], const struct cli_rollouts_rollout *rollout) {
    char why[128] = "";
    char time[CLOCK_RFC3339_SIZE];
    if (rollout->reason != NULL)
        snprintf(why, sizeof(why), " (%.64s)", rollout->reason);
    else if (text_equal(rollout->approval, "awaited"))
        snprintf(why, sizeof(why), ", awaits an approval");
    else if (rollout->waits_for != NULL)
        snprintf(why, sizeof(why), ", waits for %.64s", rollout->waits_for);
    else if (rollout->working)
        snprintf(why, sizeof(why), ", devices are being written");
    if (rollout->waits_until != 0) {
        size_t len = strlen(why);
        clock_rfc3339(rollout->waits_until, time);
        snprintf(why + len, sizeof(why) - len, " until %s", time);
    }
    snprintf(ret_line, CLI_ROLLOUTS_WATCH_LINE_SIZE, "rollout %.32s  %.64s %.64s  %.32s%s", rollout->id, rollout->product, rollout->version,
             rollout->state, why);
}

/* What is watched, and what is on the screen. */
struct watch {
    const char *path;
    bool over;       /* nothing more is to come */
    size_t lines;    /* drawn, to be drawn over */
    struct buf last; /* what a script was told last */
};

static bool compose(struct arena *arena, const struct cli_rollouts_rollout *rollout, size_t columns, const char *before, struct buf *out,
                    struct err *err) {
    const struct cli_rollouts_phase *phases = rollout->phases.items;
    char line[CLI_ROLLOUTS_WATCH_LINE_SIZE];
    cli_rollouts_watch_head(line, rollout);
    buf_printf(out, "%s%s\n", before, cli_table_line(arena, line, columns));
    for (size_t i = 0; i < rollout->phases.count; i++) {
        cli_rollouts_watch_phase(line, &phases[i], i + 1, columns);
        buf_printf(out, "%s%s\n", before, cli_table_line(arena, line, columns));
    }
    return buf_ok(out, "output", err);
}

/* On a terminal over what was drawn before; elsewhere only when something changed. */
static bool draw(struct cli *cli, struct watch *watch, const struct cli_rollouts_rollout *rollout, const struct cli_reply *reply, struct err *err) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(OUT_MAX_BYTES);
    bool live = cli->can_redraw && !cli->json;
    if (cli->json) {
        buf_append(&out, reply->body, reply->len);
        buf_byte(&out, '\n');
    } else {
        if (watch->lines > 0 && live)
            buf_printf(&out, "\033[%zuA", watch->lines);
        if (!compose(&cli->arena, rollout, live ? cli_progress_columns(cli->out) - 1 : 0, live ? "\r\033[K" : "", &out, err))
            return false;
    }
    if (!buf_ok(&out, "output", err))
        return false;
    if (!live && text_equal(out.data, watch->last.data))
        return true;
    watch->lines = rollout->phases.count + 1;
    buf_reset(&watch->last);
    buf_append(&watch->last, out.data, out.len);
    return buf_ok(&watch->last, "output", err) && cli_view_write(cli, &out, err);
}

/* True when there is nothing more to see; *ret_exit says how it ended. */
static bool is_over(const struct cli_rollouts_rollout *rollout, int *ret_exit) {
    static const struct {
        const char *state;
        enum program_exit exit;
    } ends[] = {{"completed", EXIT_OK}, {"paused", EXIT_PAUSED}, {"stopped", EXIT_STOPPED}};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        if (!text_equal(rollout->state, ends[i].state))
            continue;
        *ret_exit = (int)ends[i].exit;
        return true;
    }
    return false;
}

static bool look(struct cli *cli, void *context, struct err *err) {
    struct watch *watch = context;
    struct cli_rollouts_rollout rollout;
    struct cli_reply reply;
    if (!cli_client_get(cli, watch->path, &reply, err))
        return false;
    if (!json_read(&cli->arena, reply.body, reply.len, &cli_rollouts_shape, &rollout, NULL, err))
        return err_prefix(err, "reply of the server");
    if (text_equal(rollout.state, "draft"))
        return err_set(err, ERR_CONFLICT, "rollout %s is a draft: `pawl rollouts start` begins it", rollout.id);
    watch->over = is_over(&rollout, &cli->exit_code);
    return draw(cli, watch, &rollout, &reply, err);
}

static void free_watch(struct watch *watch) {
    buf_free(&watch->last);
}

bool cli_rollouts_watch(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct watch_args *given = args;
    int64_t interval_s = given->interval_s == 0 ? INTERVAL_DEFAULT_S : given->interval_s;
    CLEANUP(free_watch)
    struct watch watch = {.path = cli_view_path(&cli->arena, CLI_ROLLOUTS, operands->items[0], (char *)NULL), .last = BUF_INIT(OUT_MAX_BYTES)};
    if (interval_s < 1 || interval_s > INTERVAL_MAX_S)
        return err_set(err, ERR_USAGE, "--interval must be 1 to %d seconds", INTERVAL_MAX_S);
    bool seen = cli_aside(cli, look, &watch, err);
    while (seen && !watch.over) {
        clock_sleep_ms(interval_s * 1000);
        seen = cli_aside(cli, look, &watch, err);
    }
    return seen;
}
