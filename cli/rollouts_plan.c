#include "cli/rollouts_plan.h"

#include <string.h>

#include "cli/groups.h"
#include "cli/local.h"
#include "cli/prompt.h"
#include "cli/rollouts.h"
#include "cli/rollouts_preview.h"
#include "common/file.h"
#include "common/text.h"

enum { BODY_MAX_BYTES = 1 << 20, IDS_MAX = 10000 };

struct plan_args {
    const char *product, *release, *name, *filter, *devices_file, *zone, *mode, *start_at, *file;
    struct option_texts devices, phases, windows;
    int64_t max_in_flight;
    bool optional, continuous;
};

#define OPTION(option, kind, member, value, text)                                                                                                    \
    { option, 0, kind, offsetof(struct plan_args, member), value, text }

static const struct cli_option plan_options[] = {
    OPTION("product", OPTION_TEXT, product, "PRODUCT", "the line of devices"),
    OPTION("release", OPTION_TEXT, release, "VERSION", "what they get"),
    OPTION("name", OPTION_TEXT, name, "TEXT", "a note for people"),
    OPTION("filter", OPTION_TEXT, filter, "EXPRESSION", "which devices, as in 'tag == north and sequence < 7' [all of the product]"),
    OPTION("device", OPTION_TEXTS, devices, "ID", "exactly these devices (may be repeated)"),
    OPTION("devices-file", OPTION_TEXT, devices_file, "FILE", "the same, one id a line; '-' is standard input"),
    OPTION("phase", OPTION_TEXTS, phases, "SIZE[,KEY=VALUE]…", "a phase, in order (may be repeated); see above [rest]"),
    OPTION("window", OPTION_TEXTS, windows, "'DAYS FROM-TO'", "offer inside this window only (may be repeated); see above"),
    OPTION("zone", OPTION_TEXT, zone, "ZONE", "IANA time zone of the windows [UTC]"),
    OPTION("max-in-flight", OPTION_INT, max_in_flight, "N", "devices busy with it at the same time [no limit]"),
    OPTION("optional", OPTION_FLAG, optional, NULL, "the device's user may postpone it"),
    OPTION("continuous", OPTION_FLAG, continuous, NULL, "devices that match later join"),
    OPTION("start-at", OPTION_TEXT, start_at, "TIME", "when `rollouts start` lets it begin: 2026-12-24T22:00:00Z [at once]"),
    OPTION("plan", OPTION_TEXT, file, "FILE", "all of this as JSON instead, as in api/openapi.yaml; '-' is standard input"),
};
const struct cli_options cli_rollouts_plan_options = CLI_OPTIONS(struct plan_args, plan_options);

/* The body is written member by member: what was not said is left out. */
static void name(struct buf *out, const char *name) {
    char last = out->len > 0 ? out->data[out->len - 1] : '\0';
    if (last != '{' && last != '[' && last != '\0')
        buf_byte(out, ',');
    json_write_text(out, name);
    buf_byte(out, ':');
}

static void put_text(struct buf *out, const char *member, const char *text) {
    if (text == NULL)
        return;
    name(out, member);
    json_write_text(out, text);
}

static void put_number(struct buf *out, const char *member, int64_t number) {
    name(out, member);
    buf_printf(out, "%lld", (long long)number);
}

static void put_true(struct buf *out, const char *member, bool said) {
    if (!said)
        return;
    name(out, member);
    buf_text(out, "true");
}

/* "10%" or "10"; *ret_percent says which. */
static bool read_amount(const char *text, bool *ret_percent, int64_t *ret_amount) {
    size_t len = strlen(text);
    *ret_percent = len > 0 && text[len - 1] == '%';
    return text_to_int_n(text, *ret_percent ? len - 1 : len, 1, 10000000, ret_amount);
}

static bool put_size(struct buf *out, const char *text, struct err *err) {
    bool percent;
    int64_t amount;
    if (text_equal(text, "rest")) {
        put_true(out, "rest", true);
        return true;
    }
    if (!read_amount(text, &percent, &amount))
        return err_set(err, ERR_USAGE, "a size like 10%%, 50 or rest is expected, not '%s'", text);
    put_number(out, percent ? "percent" : "count", amount);
    return true;
}

static bool put_errors(struct buf *out, const char *text, struct err *err) {
    bool percent;
    int64_t amount;
    if (!read_amount(text, &percent, &amount))
        return err_set(err, ERR_USAGE, "errors: a number of devices or a percentage like 5%% is expected, not '%s'", text);
    put_number(out, percent ? "error_percent" : "error_count", amount);
    return true;
}

static bool put_success(struct buf *out, const char *text, struct err *err) {
    bool percent;
    int64_t amount;
    if (!read_amount(text, &percent, &amount))
        return err_set(err, ERR_USAGE, "success: a percentage is expected, not '%s'", text);
    put_number(out, "success_percent", amount);
    return true;
}

static bool put_duration(struct buf *out, const char *member, const char *text, struct err *err) {
    int64_t seconds;
    if (!text_to_duration(text, &seconds))
        return err_set(err, ERR_USAGE, "a duration like 90s, 15m, 6h or 1d is expected, not '%s'", text);
    put_number(out, member, seconds);
    return true;
}

static bool put_soak(struct buf *out, const char *text, struct err *err) {
    return put_duration(out, "soak_s", text, err);
}

static bool put_deadline(struct buf *out, const char *text, struct err *err) {
    return put_duration(out, "deadline_s", text, err);
}

/* What may stand behind the size of a phase. */
static const struct {
    const char *prefix;
    bool (*put)(struct buf *out, const char *text, struct err *err);
} phase_keys[] = {
    {"success=", put_success},
    {"errors=", put_errors},
    {"soak=", put_soak},
    {"deadline=", put_deadline},
};

static bool put_key(struct buf *out, const char *text, struct err *err) {
    for (size_t i = 0; i < ARRAY_LEN(phase_keys); i++)
        if (text_starts(text, phase_keys[i].prefix))
            return phase_keys[i].put(out, text + strlen(phase_keys[i].prefix), err);
    return err_set(err, ERR_USAGE, "success=, errors=, soak= or deadline= is expected, not '%s'", text);
}

bool cli_rollouts_plan_phase(struct arena *arena, const char *text, struct buf *out, struct err *err) {
    char *rest = arena_strdup(arena, text);
    if (rest == NULL)
        return err_no_memory(err);
    buf_byte(out, '{');
    for (char *part = rest; part != NULL; part = rest) {
        rest = strchr(part, ',');
        if (rest != NULL)
            *rest++ = '\0';
        bool first = out->data[out->len - 1] == '{';
        if (!(first ? put_size(out, part, err) : put_key(out, part, err)))
            return err_prefix(err, "--phase %s", text);
    }
    buf_byte(out, '}');
    return true;
}

/* The next word of *rest, ended; NULL: none. */
static char *word(char **rest) {
    char *begin = *rest + strspn(*rest, " ");
    if (*begin == '\0')
        return NULL;
    char *end = begin + strcspn(begin, " ");
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return begin;
}

bool cli_rollouts_plan_window(struct arena *arena, const char *text, struct buf *out, struct err *err) {
    char *rest = arena_strdup(arena, text);
    if (rest == NULL)
        return err_no_memory(err);
    char *days = word(&rest);
    char *from = word(&rest);
    char *to = from == NULL ? NULL : strchr(from, '-');
    if (to == NULL)
        return err_set(err, ERR_USAGE, "--window '%s': DAYS FROM-TO is expected, as in 'mon-fri 22:00-04:00'", text);
    *to++ = '\0';
    buf_byte(out, '{');
    put_text(out, "days", days);
    put_text(out, "from", from);
    put_text(out, "to", to);
    for (char *more = word(&rest); more != NULL; more = word(&rest)) {
        bool tag = text_starts(more, "tag=");
        if (!tag && !text_starts(more, "zone="))
            return err_set(err, ERR_USAGE, "--window '%s': zone= or tag= is expected, not '%s'", text, more);
        put_text(out, tag ? "tag" : "zone", strchr(more, '=') + 1);
    }
    buf_byte(out, '}');
    return true;
}

static bool put_each(struct buf *out, const char *member, const struct option_texts *texts, struct arena *arena,
                     bool (*put)(struct arena *, const char *, struct buf *, struct err *), struct err *err) {
    if (texts->count == 0)
        return true;
    name(out, member);
    buf_byte(out, '[');
    for (size_t i = 0; i < texts->count; i++) {
        if (i > 0)
            buf_byte(out, ',');
        if (!put(arena, texts->items[i], out, err))
            return false;
    }
    buf_byte(out, ']');
    return true;
}

static void put_id(struct buf *out, const char *id, size_t len, size_t *count) {
    buf_text(out, (*count)++ > 0 ? ",\"" : "\"");
    buf_append(out, id, len);
    buf_byte(out, '"');
}

/* One id a line; empty lines and those that begin with # do not count. */
static bool put_id_lines(struct buf *out, const char *path, const char *line, size_t *count, struct err *err) {
    for (size_t number = 1; *line != '\0'; number++) {
        size_t len = strcspn(line, "\n");
        size_t used = len > 0 && line[len - 1] == '\r' ? len - 1 : len;
        char id[65];
        if (used > 0 && *line != '#') {
            bool fits = used < sizeof(id);
            memcpy(id, line, fits ? used : 0);
            id[fits ? used : 0] = '\0';
            if (!text_is_id(id))
                return err_set(err, ERR_USAGE, "%s line %zu is no device id", path, number);
            put_id(out, id, used, count);
        }
        line += line[len] == '\n' ? len + 1 : len;
    }
    return true;
}

static bool read_input(const char *path, struct buf *out, struct err *err) {
    return cli_local_read(text_equal(path, "-") ? "/dev/stdin" : path, out, err);
}

static bool put_ids(const struct plan_args *plan, struct buf *out, struct err *err) {
    CLEANUP(buf_free) struct buf file = BUF_INIT(BODY_MAX_BYTES);
    size_t count = 0;
    if (plan->devices.count == 0 && plan->devices_file == NULL)
        return true;
    name(out, "ids");
    buf_byte(out, '[');
    for (size_t i = 0; i < plan->devices.count; i++) {
        if (!text_is_id(plan->devices.items[i]))
            return err_set(err, ERR_USAGE, "--device '%s' is no device id", plan->devices.items[i]);
        put_id(out, plan->devices.items[i], strlen(plan->devices.items[i]), &count);
    }
    if (plan->devices_file != NULL && (!read_input(plan->devices_file, &file, err) || !put_id_lines(out, plan->devices_file, file.data, &count, err)))
        return false;
    buf_byte(out, ']');
    if (count == 0 || count > IDS_MAX)
        return err_set(err, ERR_USAGE, "%zu devices are named; 1 to %d are possible, more by --filter", count, IDS_MAX);
    return true;
}

static bool write_plan(struct cli *cli, const struct plan_args *plan, struct buf *out, struct err *err) {
    if (plan->file != NULL)
        return read_input(plan->file, out, err);
    if (plan->product == NULL || plan->release == NULL)
        return err_set(err, ERR_USAGE, "--product and --release are needed (or --plan FILE)");
    buf_byte(out, '{');
    put_text(out, "product", plan->product);
    put_text(out, "version", plan->release);
    put_text(out, "name", plan->name);
    put_text(out, "filter", plan->filter);
    if (!put_ids(plan, out, err) || !put_each(out, "phases", &plan->phases, &cli->arena, cli_rollouts_plan_phase, err) ||
        !put_each(out, "windows", &plan->windows, &cli->arena, cli_rollouts_plan_window, err))
        return false;
    put_text(out, "zone", plan->zone);
    if (plan->max_in_flight != 0)
        put_number(out, "max_in_flight", plan->max_in_flight);
    put_text(out, "mode", plan->optional ? "optional" : NULL);
    put_true(out, "continuous", plan->continuous);
    put_text(out, "start_at", plan->start_at);
    buf_byte(out, '}');
    return buf_ok(out, "request body", err);
}

bool cli_rollouts_plan_create(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    CLEANUP(buf_free) struct buf body = BUF_INIT(BODY_MAX_BYTES);
    struct cli_reply reply;
    return write_plan(cli, args, &body, err) && cli_client_post(cli, CLI_ROLLOUTS, &body, &reply, err) &&
           cli_view_show(cli, &reply, &cli_rollouts_view, err);
}

/* With an operand: of that draft. Else of what the options say, before anything is made. */
bool cli_rollouts_plan_preview(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    CLEANUP(buf_free) struct buf body = BUF_INIT(BODY_MAX_BYTES);
    struct cli_reply reply;
    if (operands->count > 0) {
        const char *path = cli_view_path(&cli->arena, CLI_ROLLOUTS, operands->items[0], "preview", (char *)NULL);
        return cli_client_get(cli, path, &reply, err) && cli_rollouts_preview_show(cli, &reply, err);
    }
    return write_plan(cli, args, &body, err) && cli_client_post(cli, CLI_ROLLOUTS "/preview", &body, &reply, err) &&
           cli_rollouts_preview_show(cli, &reply, err);
}

struct start_args {
    const char *at, *reason;
    bool now;
};

static const struct cli_option start_options[] = {
    {"at", 0, OPTION_TEXT, offsetof(struct start_args, at), "TIME", "when it begins, 2026-12-24T22:00:00Z [the draft's own time, else at once]"},
    {"now", 0, OPTION_FLAG, offsetof(struct start_args, now), NULL, "at once, whatever the draft says"},
    {"reason", 0, OPTION_TEXT, offsetof(struct start_args, reason), "TEXT", "why, for the audit"},
};
const struct cli_options cli_rollouts_start_options = CLI_OPTIONS(struct start_args, start_options);

bool cli_rollouts_plan_start(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct start_args *start = args;
    CLEANUP(buf_free) struct buf body = BUF_INIT(8 * 1024);
    struct cli_reply reply;
    const char *question = arena_printf(&cli->arena, "start %s: let it run?", operands->items[0]);
    const char *path = cli_view_path(&cli->arena, CLI_ROLLOUTS, operands->items[0], "start", (char *)NULL);
    if (start->now && start->at != NULL)
        return err_set(err, ERR_USAGE, "either --now or --at, not both");
    buf_byte(&body, '{');
    put_text(&body, "start_at", start->at);
    if (start->now) {
        name(&body, "start_at");
        buf_text(&body, "null");
    }
    put_text(&body, "reason", start->reason);
    buf_byte(&body, '}');
    return cli_prompt_confirm(cli, question, err) && cli_client_post(cli, path, &body, &reply, err) &&
           cli_view_show(cli, &reply, &cli_rollouts_view, err);
}
