#include "agent/status.h"

#include <sys/stat.h>

#include "common/clock.h"

struct status {
    const char *phase;
    const char *product;
    const char *running;
    int64_t download_bytes;
    const char *state;
};

static const struct json_field status_fields[] = {
    {.name = "phase", .type = JSON_TEXT, .offset = offsetof(struct status, phase)},
    {.name = "product", .type = JSON_TEXT, .offset = offsetof(struct status, product)},
    {.name = "running", .type = JSON_TEXT, .offset = offsetof(struct status, running), .flags = JSON_NULLABLE},
    {.name = "download_bytes", .type = JSON_INT, .offset = offsetof(struct status, download_bytes)},
    {.name = "state", .type = JSON_RAW, .offset = offsetof(struct status, state)},
};
static const struct json_shape status_shape = JSON_SHAPE(struct status, status_fields);

const char *agent_status_phase(const struct agent_state *state) {
    return state->trial != NULL ? state->trial->phase : "idle";
}

/* Bytes of the download that was cut; 0 without one. */
static int64_t download_bytes(const struct agent_state *state) {
    struct stat info;
    if (state->partial == NULL)
        return 0;
    const char *path = arena_printf(state->arena, "%s/download/%s.part", state->folder, state->partial->sha256);
    return path != NULL && stat(path, &info) == 0 ? info.st_size : 0;
}

void agent_status_text(const struct agent_settings *settings, const struct agent_state *state, const char *running, struct buf *out) {
    const struct agent_release *installed = state->installed;
    const struct agent_trial *trial = state->trial;
    const struct agent_floor floor = agent_state_floor(state, settings->product);
    char issued[CLOCK_RFC3339_SIZE];
    if (installed != NULL)
        buf_printf(out, "installed   %s, sequence %lld (%s)\n", installed->version, (long long)installed->sequence, installed->path);
    else
        buf_text(out, "installed   nothing confirmed yet\n");
    buf_printf(out, "running     slot %s\n", running != NULL ? running : "unknown");
    buf_printf(out, "floor       sequence %lld, security version %lld\n", (long long)floor.sequence, (long long)floor.security_version);
    buf_printf(out, "state       %s\n", agent_status_phase(state));
    if (trial != NULL)
        buf_printf(out, "on trial    %s, sequence %lld, slot %s\n", trial->release->version, (long long)trial->release->sequence, trial->slot);
    if (state->partial != NULL)
        buf_printf(out, "download    %lld bytes of %s\n", (long long)download_bytes(state), state->partial->sha256);
    if (state->deployment != NULL)
        buf_printf(out, "deployment  %s, last report %lld: %s\n", state->deployment, (long long)state->report_seq, state->reported);
    buf_printf(out, "reports     %zu waiting\n", state->reports.count);
    clock_rfc3339(state->directive_issued_at, issued);
    buf_printf(out, "last answer %s\n", state->directive_issued_at > 0 ? issued : "never");
}

bool agent_status_json(const struct agent_settings *settings, const struct agent_state *state, const char *running, struct buf *out,
                       struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(AGENT_STATE_MAX);
    agent_state_write(state, &text);
    if (!buf_ok(&text, "the state", err))
        return false;
    const struct status status = {.phase = agent_status_phase(state),
                                  .product = settings->product,
                                  .running = running,
                                  .download_bytes = download_bytes(state),
                                  .state = text.data};
    json_write(out, &status_shape, &status);
    buf_byte(out, '\n');
    return buf_ok(out, "the status", err);
}
