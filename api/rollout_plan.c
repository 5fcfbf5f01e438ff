#include "api/rollout_plan.h"

#include <stdio.h>
#include <string.h>

#include "db/product.h"
#include "db/release.h"
#include "fleet/window.h"

enum { SUCCESS_DEFAULT = 90, ERROR_PERCENT_DEFAULT = 10, DEADLINE_DEFAULT_S = 86400 };

static const char default_zone[] = "UTC";

static bool size_from(const struct api_rollout_phase_input *input, size_t index, struct fleet_phase_size *ret_size, struct err *err) {
    char field[32];
    if ((input->percent != 0) + (input->count != 0) + input->rest != 1) {
        snprintf(field, sizeof(field), "phases[%zu]", index);
        return err_set_field(err, ERR_INVALID, field, "'%s' must have one of percent, count and rest", field);
    }
    if (input->rest)
        *ret_size = (struct fleet_phase_size){.unit = FLEET_PHASE_REST};
    else if (input->percent != 0)
        *ret_size = (struct fleet_phase_size){.unit = FLEET_PHASE_PERCENT, .amount = input->percent};
    else
        *ret_size = (struct fleet_phase_size){.unit = FLEET_PHASE_DEVICES, .amount = input->count};
    return true;
}

static bool error_from(const struct api_rollout_phase_input *input, size_t index, struct fleet_phase_size *ret_error, struct err *err) {
    char field[48];
    if (input->error_percent != 0 && input->error_count != 0) {
        snprintf(field, sizeof(field), "phases[%zu].error_count", index);
        return err_set_field(err, ERR_INVALID, field, "'%s': either error_percent or error_count, not both", field);
    }
    if (input->error_count != 0)
        *ret_error = (struct fleet_phase_size){.unit = FLEET_PHASE_DEVICES, .amount = input->error_count};
    else
        *ret_error = (struct fleet_phase_size){.unit = FLEET_PHASE_PERCENT,
                                               .amount = input->error_percent != 0 ? input->error_percent : ERROR_PERCENT_DEFAULT};
    return true;
}

static bool read_phases(struct api_call *call, const struct json_list *list, struct db_rollout_plan *plan, struct err *err) {
    const struct api_rollout_phase_input *inputs = list->items;
    struct fleet_rollout_phase *phases = arena_array(call->arena, list->count, sizeof(*phases));
    if (phases == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < list->count; i++) {
        phases[i].success_percent = inputs[i].success_percent != 0 ? inputs[i].success_percent : SUCCESS_DEFAULT;
        phases[i].soak_s = inputs[i].soak_s;
        phases[i].deadline_s = inputs[i].deadline_s != 0 ? inputs[i].deadline_s : DEADLINE_DEFAULT_S;
        if (!size_from(&inputs[i], i, &phases[i].size, err) || !error_from(&inputs[i], i, &phases[i].error, err))
            return false;
    }
    plan->phases = phases;
    plan->phase_count = list->count;
    return true;
}

/* The parser of one member says what was expected; here it gets its place. */
static bool at_window(struct err *err, size_t index, const char *member) {
    snprintf(err->field, sizeof(err->field), "windows[%zu].%s", index, member);
    return err_prefix(err, "'%s'", err->field);
}

static bool read_window(const struct api_rollout_window_input *input, size_t index, const char *zone, struct db_rollout_window *ret_window,
                        struct err *err) {
    unsigned days;
    int from, to;
    if (!fleet_window_parse_days(input->days, &days, err))
        return at_window(err, index, "days");
    if (!fleet_window_parse_time(input->from, false, &from, err))
        return at_window(err, index, "from");
    if (!fleet_window_parse_time(input->to, true, &to, err))
        return at_window(err, index, "to");
    if (input->tag != NULL && !api_check_id(input->tag, "tag", err))
        return at_window(err, index, "tag");
    *ret_window = (struct db_rollout_window){
        .days = (int64_t)days,
        .from_minute = from,
        .to_minute = to,
        .zone = input->zone != NULL ? input->zone : zone,
        .tag = input->tag != NULL ? input->tag : "",
    };
    return true;
}

static bool read_windows(struct api_call *call, const struct api_rollout_input *input, struct db_rollout_plan *plan, struct err *err) {
    const struct api_rollout_window_input *inputs = input->windows.items;
    const char *zone = input->zone != NULL ? input->zone : default_zone;
    struct db_rollout_window *windows = arena_array(call->arena, input->windows.count + 1, sizeof(*windows));
    if (windows == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < input->windows.count; i++)
        if (!read_window(&inputs[i], i, zone, &windows[i], err))
            return false;
    plan->windows = windows;
    plan->window_count = input->windows.count;
    return true;
}

/* A zone alone: it is the zone of windows that are there already. */
static bool rezone(struct api_call *call, const char *zone, struct db_rollout_plan *plan, struct err *err) {
    if (plan->window_count == 0)
        return err_set_field(err, ERR_INVALID, "zone", "'zone' is of windows, and there are none");
    struct db_rollout_window *windows = arena_memdup(call->arena, plan->windows, plan->window_count * sizeof(*windows));
    if (windows == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < plan->window_count; i++)
        windows[i].zone = zone;
    plan->windows = windows;
    return true;
}

/* Who is meant: a filter, a list, or everybody; naming one takes the other away. */
static bool read_target(const struct api_rollout_input *input, uint64_t present, struct db_rollout_plan *plan, struct err *err) {
    if (input->filter != NULL && input->ids.count > 0)
        return err_set_field(err, ERR_INVALID, "ids", "either 'filter' or 'ids', not both");
    if ((present & API_ROLLOUT_HAS_FILTER) != 0) {
        plan->filter = input->filter != NULL ? input->filter : "";
        if (input->filter != NULL)
            plan->ids = (struct db_texts){0};
    }
    if ((present & API_ROLLOUT_HAS_IDS) != 0) {
        plan->ids = (struct db_texts){.count = input->ids.count, .items = input->ids.items};
        if (input->ids.count > 0)
            plan->filter = "";
    }
    return true;
}

static bool read_release(struct api_call *call, const char *version, struct db_rollout_plan *plan, struct err *err) {
    struct db_release release;
    if (!db_release_get_version(call->db, plan->product, version, call->arena, &release, err))
        return api_missing(err, "version");
    plan->release = release.id;
    return true;
}

/* The store speaks of the release; whoever asked has said its version. */
static bool check(struct db_conn *conn, const struct db_rollout_plan *plan, struct err *err) {
    if (db_rollout_check(conn, plan, err))
        return true;
    if (strcmp(err->field, "release") == 0)
        snprintf(err->field, sizeof(err->field), "version");
    return false;
}

static bool apply(struct api_call *call, const struct api_rollout_input *input, uint64_t present, struct db_rollout_plan *plan, struct err *err) {
    if ((present & API_ROLLOUT_HAS_NAME) != 0)
        plan->name = input->name;
    if ((present & API_ROLLOUT_HAS_MODE) != 0 && !fleet_mode_parse(input->mode, &plan->mode))
        return err_set_field(err, ERR_INVALID, "mode", "'mode' must be forced or optional");
    if ((present & API_ROLLOUT_HAS_CONTINUOUS) != 0)
        plan->continuous = input->continuous;
    if ((present & API_ROLLOUT_HAS_MAX_IN_FLIGHT) != 0)
        plan->max_in_flight = input->max_in_flight;
    if ((present & API_ROLLOUT_HAS_START_AT) != 0)
        plan->start_at = input->start_at;
    if ((present & API_ROLLOUT_HAS_VERSION) != 0 && !read_release(call, input->version, plan, err))
        return false;
    if ((present & API_ROLLOUT_HAS_PHASES) != 0 && !read_phases(call, &input->phases, plan, err))
        return false;
    if ((present & API_ROLLOUT_HAS_WINDOWS) != 0 && !read_windows(call, input, plan, err))
        return false;
    if ((present & (API_ROLLOUT_HAS_ZONE | API_ROLLOUT_HAS_WINDOWS)) == API_ROLLOUT_HAS_ZONE && !rezone(call, input->zone, plan, err))
        return false;
    return read_target(input, present, plan, err) && check(call->db, plan, err);
}

bool api_rollout_plan_read(struct api_call *call, struct db_rollout_plan *ret_plan, struct err *err) {
    struct api_rollout_input input;
    struct db_product product;
    uint64_t present;
    struct api_rollout_phase_input everybody = {.rest = true};
    const struct json_list one_phase = {.count = 1, .items = &everybody};
    struct db_rollout_plan plan = {.filter = "", .mode = FLEET_MODE_FORCED};
    if (!api_body(call, &api_rollout_shape_input, &input, &present, err) || !api_check_id(input.product, "product", err) ||
        !api_allow(call, input.product, err))
        return false;
    if (!db_product_get(call->db, input.product, call->arena, &product, err))
        return api_missing(err, "product");
    plan.product = input.product;
    plan.name = arena_printf(call->arena, "%.60s %.64s", input.product, input.version);
    if (plan.name == NULL)
        return err_no_memory(err);
    if (!read_phases(call, &one_phase, &plan, err) || !apply(call, &input, present, &plan, err))
        return false;
    *ret_plan = plan;
    return true;
}

bool api_rollout_plan_patch(struct api_call *call, const struct db_rollout_plan *before, struct db_rollout_plan *ret_plan, struct err *err) {
    struct api_rollout_input input;
    uint64_t present;
    struct db_rollout_plan plan = *before;
    if (!api_patch(call, &api_rollout_shape_patch, &input, &present, err) || !apply(call, &input, present, &plan, err))
        return false;
    *ret_plan = plan;
    return true;
}
