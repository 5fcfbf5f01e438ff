/* How rollouts look in bodies: what an operator says, what the server shows. */
#ifndef PAWL_API_ROLLOUT_SHAPE_H
#define PAWL_API_ROLLOUT_SHAPE_H

#include "common/json.h"
#include "db/rollout.h"

/* One of percent, count and rest; one of error_percent and error_count. 0 and false: not said. */
struct api_rollout_phase_input {
    int64_t percent, count;
    bool rest;
    int64_t success_percent, error_percent, error_count, soak_s, deadline_s;
};

struct api_rollout_window_input {
    const char *days, *from, *to;
    const char *zone; /* NULL: the plan's */
    const char *tag;  /* NULL: every device */
};

struct api_rollout_input {
    const char *product, *name, *version, *filter;
    struct json_texts ids;
    struct json_list phases; /* struct api_rollout_phase_input */
    const char *zone;
    struct json_list windows; /* struct api_rollout_window_input */
    int64_t max_in_flight;
    const char *mode;
    bool continuous;
    int64_t start_at;
};

/* Bits of ret_present for both shapes. */
enum {
    API_ROLLOUT_HAS_NAME = 1 << 0,
    API_ROLLOUT_HAS_VERSION = 1 << 1,
    API_ROLLOUT_HAS_FILTER = 1 << 2,
    API_ROLLOUT_HAS_IDS = 1 << 3,
    API_ROLLOUT_HAS_PHASES = 1 << 4,
    API_ROLLOUT_HAS_ZONE = 1 << 5,
    API_ROLLOUT_HAS_WINDOWS = 1 << 6,
    API_ROLLOUT_HAS_MAX_IN_FLIGHT = 1 << 7,
    API_ROLLOUT_HAS_MODE = 1 << 8,
    API_ROLLOUT_HAS_CONTINUOUS = 1 << 9,
    API_ROLLOUT_HAS_START_AT = 1 << 10,
};
extern const struct json_shape api_rollout_shape_input;
extern const struct json_shape api_rollout_shape_patch; /* without the product, nothing required */

struct api_rollout_start_input {
    int64_t start_at; /* 0 with API_ROLLOUT_START_HAS_TIME: now */
    const char *reason;
};
enum { API_ROLLOUT_START_HAS_TIME = 1 << 0 };
extern const struct json_shape api_rollout_shape_start;

struct api_rollout_counts {
    int64_t devices, waiting, in_flight, retrying, confirmed, failed, timed_out, cancelled, skipped;
};

struct api_rollout_phase {
    const char *percent, *count; /* numbers as texts, or NULL */
    bool rest;
    int64_t success_percent;
    const char *error_percent, *error_count;
    int64_t soak_s, deadline_s;
    const char *state;
    int64_t opened_at, reached_at;
    int64_t deadline_at, soaked_at; /* of an open one: ahead, or just past */
    struct api_rollout_counts *counts;
};

struct api_rollout_window {
    const char *days, *from, *to, *zone, *tag;
};

struct api_rollout {
    const char *id, *name, *product, *version;
    int64_t sequence;
    const char *filter;
    struct json_texts ids;
    struct json_list phases;  /* struct api_rollout_phase */
    struct json_list windows; /* struct api_rollout_window */
    const char *max_in_flight;
    const char *mode;
    bool continuous;
    int64_t start_at;
    const char *state, *reason, *waits_for;
    int64_t waits_until;
    const char *phase;
    bool working;
    struct api_rollout_counts *counts;
    const char *approval, *approved_by, *created_by;
    int64_t created_at, started_at, paused_at, closed_at;
};
extern const struct json_shape api_rollout_shape;

/* now: for what it waits for. */
bool api_rollout_shape_from(struct arena *arena, const struct db_rollout *rollout, int64_t now, struct api_rollout *ret_rollout,
                            struct err *err) MUST_USE;

struct api_rollout_excluded {
    const char *reason, *text;
    int64_t devices;
};

struct api_rollout_share {
    int64_t phase, devices;
};

struct api_rollout_preview {
    int64_t matched, unknown, included;
    struct json_list excluded; /* struct api_rollout_excluded */
    struct json_list phases;   /* struct api_rollout_share */
    bool approval_needed;
};
extern const struct json_shape api_rollout_shape_preview;
bool api_rollout_shape_preview_from(struct arena *arena, const struct db_rollout_preview *preview, int64_t approval_above,
                                    struct api_rollout_preview *ret_preview, struct err *err) MUST_USE;

struct api_rollout_device {
    const char *device;
    int64_t phase;
    const char *state, *deployment;
    int64_t due_at, updated_at;
};
extern const struct json_shape api_rollout_shape_device;

#endif
