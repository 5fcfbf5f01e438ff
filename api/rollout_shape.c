#include "api/rollout_shape.h"

#include <string.h>

#include "api/shapes.h"
#include "fleet/filter.h"
#include "fleet/window.h"

#define MEMBER(of, member, kind, ...)                                                                                                                \
    { .name = #member, .type = (kind), .offset = offsetof(struct of, member), __VA_ARGS__ }
#define NULLABLE(of, member, kind) MEMBER(of, member, kind, .flags = JSON_NULLABLE)

enum { AMOUNT_MAX = 10000000 };

static const struct json_field phase_input_fields[] = {
    MEMBER(api_rollout_phase_input, percent, JSON_INT, .min = 1, .max = 100),
    MEMBER(api_rollout_phase_input, count, JSON_INT, .min = 1, .max = AMOUNT_MAX),
    MEMBER(api_rollout_phase_input, rest, JSON_BOOL),
    MEMBER(api_rollout_phase_input, success_percent, JSON_INT, .min = 1, .max = 100),
    MEMBER(api_rollout_phase_input, error_percent, JSON_INT, .min = 1, .max = 100),
    MEMBER(api_rollout_phase_input, error_count, JSON_INT, .min = 1, .max = AMOUNT_MAX),
    MEMBER(api_rollout_phase_input, soak_s, JSON_INT, .min = 0, .max = FLEET_SOAK_MAX_S),
    MEMBER(api_rollout_phase_input, deadline_s, JSON_INT, .min = FLEET_DEADLINE_MIN_S, .max = FLEET_DEADLINE_MAX_S),
};
static const struct json_shape phase_input_shape = JSON_SHAPE(struct api_rollout_phase_input, phase_input_fields);

static const struct json_field window_input_fields[] = {
    MEMBER(api_rollout_window_input, days, JSON_TEXT, .flags = JSON_REQUIRED, .max = FLEET_WINDOW_DAYS_SIZE),
    MEMBER(api_rollout_window_input, from, JSON_TEXT, .flags = JSON_REQUIRED, .max = FLEET_WINDOW_TIME_SIZE),
    MEMBER(api_rollout_window_input, to, JSON_TEXT, .flags = JSON_REQUIRED, .max = FLEET_WINDOW_TIME_SIZE),
    MEMBER(api_rollout_window_input, zone, JSON_TEXT, .flags = JSON_NULLABLE, .max = ZONE_NAME_SIZE - 1),
    MEMBER(api_rollout_window_input, tag, JSON_TEXT, .flags = JSON_NULLABLE, .max = DB_ID_SIZE - 1),
};
static const struct json_shape window_input_shape = JSON_SHAPE(struct api_rollout_window_input, window_input_fields);

/* In the order of the API_ROLLOUT_HAS_ bits. */
#define PLAN_FIELDS(version_flags)                                                                                                                   \
    MEMBER(api_rollout_input, name, JSON_TEXT, .max = DB_ROLLOUT_NAME_MAX),                                                                          \
        MEMBER(api_rollout_input, version, JSON_TEXT, .flags = (version_flags), .max = DB_VERSION_SIZE - 1),                                         \
        MEMBER(api_rollout_input, filter, JSON_TEXT, .flags = JSON_NULLABLE, .max = FLEET_FILTER_MAX_BYTES),                                         \
        MEMBER(api_rollout_input, ids, JSON_TEXTS, .flags = JSON_NULLABLE, .min = 1, .max = DB_ROLLOUT_MAX_IDS),                                     \
        MEMBER(api_rollout_input, phases, JSON_STRUCTS, .min = 1, .max = FLEET_PHASE_MAX, .shape = &phase_input_shape),                              \
        MEMBER(api_rollout_input, zone, JSON_TEXT, .max = ZONE_NAME_SIZE - 1),                                                                       \
        MEMBER(api_rollout_input, windows, JSON_STRUCTS, .max = DB_ROLLOUT_MAX_WINDOWS, .shape = &window_input_shape),                               \
        MEMBER(api_rollout_input, max_in_flight, JSON_INT, .flags = JSON_NULLABLE, .min = 1, .max = AMOUNT_MAX),                                     \
        MEMBER(api_rollout_input, mode, JSON_TEXT, .max = 16), MEMBER(api_rollout_input, continuous, JSON_BOOL),                                     \
        MEMBER(api_rollout_input, start_at, JSON_TIME, .flags = JSON_NULLABLE)

static const struct json_field input_fields[] = {
    PLAN_FIELDS(JSON_REQUIRED),
    MEMBER(api_rollout_input, product, JSON_TEXT, .flags = JSON_REQUIRED, .max = DB_ID_SIZE - 1),
};
const struct json_shape api_rollout_shape_input = JSON_SHAPE(struct api_rollout_input, input_fields);

static const struct json_field patch_fields[] = {PLAN_FIELDS(0)};
const struct json_shape api_rollout_shape_patch = JSON_SHAPE(struct api_rollout_input, patch_fields);

static const struct json_field start_fields[] = {
    MEMBER(api_rollout_start_input, start_at, JSON_TIME, .flags = JSON_NULLABLE),
    MEMBER(api_rollout_start_input, reason, JSON_TEXT, .max = 256),
};
const struct json_shape api_rollout_shape_start = JSON_SHAPE(struct api_rollout_start_input, start_fields);

static const struct json_field counts_fields[] = {
    MEMBER(api_rollout_counts, devices, JSON_INT),   MEMBER(api_rollout_counts, waiting, JSON_INT),   MEMBER(api_rollout_counts, in_flight, JSON_INT),
    MEMBER(api_rollout_counts, retrying, JSON_INT),  MEMBER(api_rollout_counts, confirmed, JSON_INT), MEMBER(api_rollout_counts, failed, JSON_INT),
    MEMBER(api_rollout_counts, timed_out, JSON_INT), MEMBER(api_rollout_counts, cancelled, JSON_INT), MEMBER(api_rollout_counts, skipped, JSON_INT),
};
static const struct json_shape counts_shape = JSON_SHAPE(struct api_rollout_counts, counts_fields);

static const struct json_field phase_fields[] = {
    NULLABLE(api_rollout_phase, percent, JSON_RAW),       NULLABLE(api_rollout_phase, count, JSON_RAW),
    MEMBER(api_rollout_phase, rest, JSON_BOOL),           MEMBER(api_rollout_phase, success_percent, JSON_INT),
    NULLABLE(api_rollout_phase, error_percent, JSON_RAW), NULLABLE(api_rollout_phase, error_count, JSON_RAW),
    MEMBER(api_rollout_phase, soak_s, JSON_INT),          MEMBER(api_rollout_phase, deadline_s, JSON_INT),
    MEMBER(api_rollout_phase, state, JSON_TEXT),          NULLABLE(api_rollout_phase, opened_at, JSON_TIME),
    NULLABLE(api_rollout_phase, reached_at, JSON_TIME),   NULLABLE(api_rollout_phase, deadline_at, JSON_TIME),
    NULLABLE(api_rollout_phase, soaked_at, JSON_TIME),    MEMBER(api_rollout_phase, counts, JSON_STRUCT, .shape = &counts_shape),
};
static const struct json_shape phase_shape = JSON_SHAPE(struct api_rollout_phase, phase_fields);

static const struct json_field window_fields[] = {
    MEMBER(api_rollout_window, days, JSON_TEXT), MEMBER(api_rollout_window, from, JSON_TEXT),  MEMBER(api_rollout_window, to, JSON_TEXT),
    MEMBER(api_rollout_window, zone, JSON_TEXT), NULLABLE(api_rollout_window, tag, JSON_TEXT),
};
static const struct json_shape window_shape = JSON_SHAPE(struct api_rollout_window, window_fields);

static const struct json_field rollout_fields[] = {
    MEMBER(api_rollout, id, JSON_TEXT),
    MEMBER(api_rollout, name, JSON_TEXT),
    MEMBER(api_rollout, product, JSON_TEXT),
    MEMBER(api_rollout, version, JSON_TEXT),
    MEMBER(api_rollout, sequence, JSON_INT),
    NULLABLE(api_rollout, filter, JSON_TEXT),
    NULLABLE(api_rollout, ids, JSON_TEXTS),
    MEMBER(api_rollout, phases, JSON_STRUCTS, .shape = &phase_shape),
    MEMBER(api_rollout, windows, JSON_STRUCTS, .shape = &window_shape),
    NULLABLE(api_rollout, max_in_flight, JSON_RAW),
    MEMBER(api_rollout, mode, JSON_TEXT),
    MEMBER(api_rollout, continuous, JSON_BOOL),
    NULLABLE(api_rollout, start_at, JSON_TIME),
    MEMBER(api_rollout, state, JSON_TEXT),
    NULLABLE(api_rollout, reason, JSON_TEXT),
    NULLABLE(api_rollout, waits_for, JSON_TEXT),
    NULLABLE(api_rollout, waits_until, JSON_TIME),
    NULLABLE(api_rollout, phase, JSON_RAW),
    MEMBER(api_rollout, working, JSON_BOOL),
    MEMBER(api_rollout, counts, JSON_STRUCT, .shape = &counts_shape),
    MEMBER(api_rollout, approval, JSON_TEXT),
    NULLABLE(api_rollout, approved_by, JSON_TEXT),
    MEMBER(api_rollout, created_by, JSON_TEXT),
    MEMBER(api_rollout, created_at, JSON_TIME),
    NULLABLE(api_rollout, started_at, JSON_TIME),
    NULLABLE(api_rollout, paused_at, JSON_TIME),
    NULLABLE(api_rollout, closed_at, JSON_TIME),
};
const struct json_shape api_rollout_shape = JSON_SHAPE(struct api_rollout, rollout_fields);

/* NULL for "not this"; without memory it looks the same, and the arena says so at the next allocation that matters. */
static const char *number_if(struct arena *arena, bool said, int64_t number) {
    return said ? arena_printf(arena, "%lld", (long long)number) : NULL;
}

static void count_members(const int64_t members[FLEET_MEMBER_STATE_COUNT], struct api_rollout_counts *counts) {
    counts->waiting += members[FLEET_MEMBER_WAITING];
    counts->in_flight += members[FLEET_MEMBER_IN_FLIGHT];
    counts->retrying += members[FLEET_MEMBER_RETRYING];
    counts->confirmed += members[FLEET_MEMBER_CONFIRMED];
    counts->failed += members[FLEET_MEMBER_FAILED];
    counts->timed_out += members[FLEET_MEMBER_TIMED_OUT];
    counts->cancelled += members[FLEET_MEMBER_CANCELLED];
    counts->skipped += members[FLEET_MEMBER_SKIPPED];
    for (size_t i = 0; i < FLEET_MEMBER_STATE_COUNT; i++)
        counts->devices += members[i];
}

static int64_t soaked_clock(const struct fleet_rollout_phase *phase) {
    return phase->reached_clock != 0 ? phase->reached_clock + phase->soak_s : 0;
}

static const char *phase_state(const struct db_rollout *rollout, size_t index, int64_t now) {
    const struct fleet_rollout_phase *phase = &rollout->plan.phases[index];
    if (phase->opened_clock == 0)
        return "waiting";
    if ((int64_t)index + 1 < rollout->phase || rollout->state == FLEET_ROLLOUT_COMPLETED)
        return "done";
    return phase->reached_clock != 0 && now < db_rollout_time(rollout, soaked_clock(phase)) ? "soaking" : "running";
}

static bool phase_from(struct arena *arena, const struct db_rollout *rollout, size_t index, int64_t now, struct api_rollout_phase *ret_phase,
                       struct err *err) {
    const struct fleet_rollout_phase *phase = &rollout->plan.phases[index];
    const char *state = phase_state(rollout, index, now);
    bool ahead = strcmp(state, "running") == 0 || strcmp(state, "soaking") == 0;
    *ret_phase = (struct api_rollout_phase){
        .percent = number_if(arena, phase->size.unit == FLEET_PHASE_PERCENT, phase->size.amount),
        .count = number_if(arena, phase->size.unit == FLEET_PHASE_DEVICES, phase->size.amount),
        .rest = phase->size.unit == FLEET_PHASE_REST,
        .success_percent = phase->success_percent,
        .error_percent = number_if(arena, phase->error.unit == FLEET_PHASE_PERCENT, phase->error.amount),
        .error_count = number_if(arena, phase->error.unit == FLEET_PHASE_DEVICES, phase->error.amount),
        .soak_s = phase->soak_s,
        .deadline_s = phase->deadline_s,
        .state = state,
        .opened_at = phase->opened_at,
        .reached_at = phase->reached_at,
        .deadline_at = ahead ? db_rollout_time(rollout, phase->opened_clock + phase->deadline_s) : 0,
        .soaked_at = ahead ? db_rollout_time(rollout, soaked_clock(phase)) : 0,
        .counts = arena_alloc(arena, sizeof(*ret_phase->counts)),
    };
    if (ret_phase->counts == NULL)
        return err_no_memory(err);
    count_members(phase->members, ret_phase->counts);
    return true;
}

static bool window_from(struct arena *arena, const struct db_rollout_window *window, struct api_rollout_window *ret_window, struct err *err) {
    char days[FLEET_WINDOW_DAYS_SIZE], from[FLEET_WINDOW_TIME_SIZE], to[FLEET_WINDOW_TIME_SIZE];
    fleet_window_print_days((unsigned)window->days, days);
    fleet_window_print_time((int)window->from_minute, from);
    fleet_window_print_time((int)window->to_minute, to);
    *ret_window = (struct api_rollout_window){
        .days = arena_strdup(arena, days),
        .from = arena_strdup(arena, from),
        .to = arena_strdup(arena, to),
        .zone = window->zone,
        .tag = api_or_null(window->tag),
    };
    return (ret_window->days != NULL && ret_window->from != NULL && ret_window->to != NULL) || err_no_memory(err);
}

static bool lists_from(struct arena *arena, const struct db_rollout *rollout, int64_t now, struct api_rollout *out, struct err *err) {
    const struct db_rollout_plan *plan = &rollout->plan;
    struct api_rollout_phase *phases = arena_array(arena, plan->phase_count, sizeof(*phases));
    struct api_rollout_window *windows = arena_array(arena, plan->window_count + 1, sizeof(*windows));
    struct api_rollout_counts *counts = arena_alloc(arena, sizeof(*counts));
    if (phases == NULL || windows == NULL || counts == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < plan->phase_count; i++) {
        if (!phase_from(arena, rollout, i, now, &phases[i], err))
            return false;
        count_members(plan->phases[i].members, counts);
    }
    for (size_t i = 0; i < plan->window_count; i++)
        if (!window_from(arena, &plan->windows[i], &windows[i], err))
            return false;
    out->phases = (struct json_list){.count = plan->phase_count, .items = phases};
    out->windows = (struct json_list){.count = plan->window_count, .items = windows};
    out->counts = counts;
    return true;
}

static const char *approval_name(const struct db_rollout *rollout) {
    if (rollout->approved_by[0] != '\0')
        return "given";
    return rollout->awaits_approval ? "awaited" : "none";
}

bool api_rollout_shape_from(struct arena *arena, const struct db_rollout *rollout, int64_t now, struct api_rollout *ret_rollout, struct err *err) {
    const struct db_rollout_plan *plan = &rollout->plan;
    const struct fleet_step next = db_rollout_step(rollout, now);
    bool waits = next.kind == FLEET_STEP_WAIT;
    struct api_rollout out = {
        .id = arena_printf(arena, "%lld", (long long)rollout->id),
        .name = plan->name,
        .product = plan->product,
        .version = rollout->version,
        .sequence = rollout->sequence,
        .filter = api_or_null(plan->filter),
        .ids = {.count = plan->ids.count, .items = plan->ids.count > 0 ? plan->ids.items : NULL},
        .max_in_flight = number_if(arena, plan->max_in_flight != 0, plan->max_in_flight),
        .mode = fleet_mode_name(plan->mode),
        .continuous = plan->continuous,
        .start_at = plan->start_at,
        .state = fleet_rollout_state_name(rollout->state),
        .reason = rollout->state == FLEET_ROLLOUT_PAUSED ? api_or_null(fleet_halt_name(rollout->halt)) : NULL,
        .waits_for = waits ? api_or_null(fleet_wait_name(next.wait)) : NULL,
        .waits_until = waits && next.until_clock != INT64_MAX ? db_rollout_time(rollout, next.until_clock) : 0,
        .phase = number_if(arena, rollout->phase != 0, rollout->phase),
        .working = rollout->working,
        .approval = approval_name(rollout),
        .approved_by = api_or_null(rollout->approved_by),
        .created_by = rollout->created_by,
        .created_at = rollout->created_at,
        .started_at = rollout->started_at,
        .paused_at = rollout->paused_at,
        .closed_at = rollout->ended_at,
    };
    if (!lists_from(arena, rollout, now, &out, err))
        return false;
    if (out.id == NULL)
        return err_no_memory(err);
    *ret_rollout = out;
    return true;
}

static const struct json_field excluded_fields[] = {
    MEMBER(api_rollout_excluded, reason, JSON_TEXT),
    MEMBER(api_rollout_excluded, text, JSON_TEXT),
    MEMBER(api_rollout_excluded, devices, JSON_INT),
};
static const struct json_shape excluded_shape = JSON_SHAPE(struct api_rollout_excluded, excluded_fields);

static const struct json_field share_fields[] = {
    MEMBER(api_rollout_share, phase, JSON_INT),
    MEMBER(api_rollout_share, devices, JSON_INT),
};
static const struct json_shape share_shape = JSON_SHAPE(struct api_rollout_share, share_fields);

static const struct json_field preview_fields[] = {
    MEMBER(api_rollout_preview, matched, JSON_INT),
    MEMBER(api_rollout_preview, unknown, JSON_INT),
    MEMBER(api_rollout_preview, included, JSON_INT),
    MEMBER(api_rollout_preview, excluded, JSON_STRUCTS, .shape = &excluded_shape),
    MEMBER(api_rollout_preview, phases, JSON_STRUCTS, .shape = &share_shape),
    MEMBER(api_rollout_preview, approval_needed, JSON_BOOL),
};
const struct json_shape api_rollout_shape_preview = JSON_SHAPE(struct api_rollout_preview, preview_fields);

bool api_rollout_shape_preview_from(struct arena *arena, const struct db_rollout_preview *preview, int64_t approval_above,
                                    struct api_rollout_preview *ret_preview, struct err *err) {
    struct api_rollout_excluded *excluded = arena_array(arena, preview->excluded_count + 1, sizeof(*excluded));
    struct api_rollout_share *phases = arena_array(arena, preview->phase_count + 1, sizeof(*phases));
    if (excluded == NULL || phases == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < preview->excluded_count; i++)
        excluded[i] = (struct api_rollout_excluded){
            .reason = fleet_reason_name(preview->excluded[i].reason),
            .text = fleet_reason_text(preview->excluded[i].reason),
            .devices = preview->excluded[i].count,
        };
    for (size_t i = 0; i < preview->phase_count; i++)
        phases[i] = (struct api_rollout_share){.phase = (int64_t)i + 1, .devices = preview->phases[i]};
    *ret_preview = (struct api_rollout_preview){
        .matched = preview->matched,
        .unknown = preview->unknown,
        .included = preview->included,
        .excluded = {.count = preview->excluded_count, .items = excluded},
        .phases = {.count = preview->phase_count, .items = phases},
        .approval_needed = approval_above > 0 && preview->included > approval_above,
    };
    return true;
}

static const struct json_field device_fields[] = {
    MEMBER(api_rollout_device, device, JSON_TEXT),   MEMBER(api_rollout_device, phase, JSON_INT),
    MEMBER(api_rollout_device, state, JSON_TEXT),    NULLABLE(api_rollout_device, deployment, JSON_TEXT),
    NULLABLE(api_rollout_device, due_at, JSON_TIME), NULLABLE(api_rollout_device, updated_at, JSON_TIME),
};
const struct json_shape api_rollout_shape_device = JSON_SHAPE(struct api_rollout_device, device_fields);
