#include <stdlib.h>
#include <string.h>

#include "api/call.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/shapes.h"
#include "common/text.h"
#include "db/deployment.h"

enum { HOUR_S = 3600, DAY_S = 86400, WEEK_S = 7 * DAY_S, LINES_MAX = 1000, BUCKETS = 4096 };

/* Devices of one product that run one version. */
struct line {
    const char *product, *version; /* NULL: unknown */
    int64_t devices, open_deployments;
    size_t next; /* in its bucket, + 1 */
};

struct tally {
    const char *product; /* only of this one; NULL: of all */
    int64_t now;
    struct arena *arena;
    int64_t devices, open_deployments, never, hour, day, week;
    int64_t states[FLEET_DEVICE_STATE_COUNT];
    struct line lines[LINES_MAX];
    size_t line_count;
    size_t buckets[BUCKETS]; /* line + 1 */
    bool cut;                /* there are more lines */
    bool out_of_memory;
};

static size_t bucket_of(const char *product, const char *version) {
    uint32_t hash = 2166136261u;
    for (const char *c = product; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    for (const char *c = version; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return hash % BUCKETS;
}

/* Made when missing; NULL: there are too many, or no memory. */
static struct line *line_of(struct tally *tally, const char *product, const char *version) {
    size_t bucket = bucket_of(product, version);
    for (size_t at = tally->buckets[bucket]; at != 0; at = tally->lines[at - 1].next) {
        struct line *line = &tally->lines[at - 1];
        if (text_equal(line->product, api_or_null(product)) && text_equal(line->version, api_or_null(version)))
            return line;
    }
    if (tally->line_count == LINES_MAX) {
        tally->cut = true;
        return NULL;
    }
    const char *kept_product = arena_strdup(tally->arena, product), *kept_version = arena_strdup(tally->arena, version);
    if (kept_product == NULL || kept_version == NULL) {
        tally->out_of_memory = true;
        return NULL;
    }
    struct line *line = &tally->lines[tally->line_count++];
    *line = (struct line){.product = api_or_null(kept_product), .version = api_or_null(kept_version), .next = tally->buckets[bucket]};
    tally->buckets[bucket] = tally->line_count;
    return line;
}

static void count(void *context, const struct db_registry_glance *glance) {
    struct tally *tally = context;
    int64_t silent = tally->now - glance->last_seen;
    if (tally->product != NULL && strcmp(glance->product, tally->product) != 0)
        return;
    tally->devices++;
    tally->states[glance->state]++;
    tally->open_deployments += glance->open_deployment != 0;
    tally->never += glance->last_seen == 0;
    tally->hour += glance->last_seen != 0 && silent < HOUR_S;
    tally->day += glance->last_seen != 0 && silent < DAY_S;
    tally->week += glance->last_seen != 0 && silent < WEEK_S;
    struct line *line = line_of(tally, glance->product, glance->version);
    if (line != NULL) {
        line->devices++;
        line->open_deployments += glance->open_deployment != 0;
    }
}

static int by_product(const void *a, const void *b) {
    const struct line *x = a, *y = b;
    int order = strcmp(x->product != NULL ? x->product : "", y->product != NULL ? y->product : "");
    order = order != 0 ? order : (x->devices < y->devices) - (x->devices > y->devices);
    return order != 0 ? order : strcmp(x->version != NULL ? x->version : "", y->version != NULL ? y->version : "");
}

/* ---- the reply ---- */

struct states {
    int64_t pending, active, revoked, retired;
};

struct seen {
    int64_t hour, day, week, never;
};

struct stats {
    int64_t devices, open_deployments;
    struct states *states;
    struct seen *seen;
    struct json_list installed;
    bool cut;
    struct json_list deployments;
};

struct by_state {
    const char *state;
    int64_t deployments;
};

#define NUMBER(of, member)                                                                                                                           \
    { .name = #member, .type = JSON_INT, .offset = offsetof(struct of, member) }

static const struct json_field states_fields[] = {NUMBER(states, pending), NUMBER(states, active), NUMBER(states, revoked), NUMBER(states, retired)};
static const struct json_shape states_shape = JSON_SHAPE(struct states, states_fields);
static const struct json_field seen_fields[] = {NUMBER(seen, hour), NUMBER(seen, day), NUMBER(seen, week), NUMBER(seen, never)};
static const struct json_shape seen_shape = JSON_SHAPE(struct seen, seen_fields);
static const struct json_field line_fields[] = {
    {.name = "product", .type = JSON_TEXT, .offset = offsetof(struct line, product), .flags = JSON_NULLABLE},
    {.name = "version", .type = JSON_TEXT, .offset = offsetof(struct line, version), .flags = JSON_NULLABLE},
    NUMBER(line, devices),
    NUMBER(line, open_deployments),
};
static const struct json_shape line_shape = JSON_SHAPE(struct line, line_fields);
static const struct json_field by_state_fields[] = {
    {.name = "state", .type = JSON_TEXT, .offset = offsetof(struct by_state, state)},
    NUMBER(by_state, deployments),
};
static const struct json_shape by_state_shape = JSON_SHAPE(struct by_state, by_state_fields);
static const struct json_field stats_fields[] = {
    NUMBER(stats, devices),
    {.name = "states", .type = JSON_STRUCT, .offset = offsetof(struct stats, states), .shape = &states_shape},
    {.name = "seen", .type = JSON_STRUCT, .offset = offsetof(struct stats, seen), .shape = &seen_shape},
    NUMBER(stats, open_deployments),
    {.name = "installed", .type = JSON_STRUCTS, .offset = offsetof(struct stats, installed), .shape = &line_shape},
    {.name = "cut", .type = JSON_BOOL, .offset = offsetof(struct stats, cut)},
    {.name = "deployments", .type = JSON_STRUCTS, .offset = offsetof(struct stats, deployments), .flags = JSON_NULLABLE, .shape = &by_state_shape},
};
static const struct json_shape stats_shape = JSON_SHAPE(struct stats, stats_fields);

static bool count_deployments(struct api_call *call, struct json_list *ret_list, struct err *err) {
    int64_t counts[FLEET_DEPLOYMENT_STATE_COUNT];
    struct by_state *items = arena_array(call->arena, FLEET_DEPLOYMENT_STATE_COUNT, sizeof(*items));
    if (items == NULL)
        return err_no_memory(err);
    if (!db_deployment_count(call->db, counts, err))
        return false;
    for (unsigned i = 0; i < FLEET_DEPLOYMENT_STATE_COUNT; i++)
        items[i] = (struct by_state){fleet_deployment_state_name((enum fleet_deployment_state)i), counts[i]};
    *ret_list = (struct json_list){.count = FLEET_DEPLOYMENT_STATE_COUNT, .items = items};
    return true;
}

bool api_stats_get(struct api_call *call, struct err *err) {
    struct tally *tally = arena_alloc(call->arena, sizeof(*tally));
    struct json_list deployments = {.count = 0};
    if (tally == NULL)
        return err_no_memory(err);
    if (!api_allow_list(call, err))
        return false;
    tally->product = api_or_null(api_query(call, "product") != NULL ? api_query(call, "product") : "");
    tally->now = call->now;
    tally->arena = call->arena;
    if (tally->product == NULL && !count_deployments(call, &deployments, err))
        return false;
    db_registry_each(call->env->db, count, tally);
    if (tally->out_of_memory)
        return err_no_memory(err);
    qsort(tally->lines, tally->line_count, sizeof(tally->lines[0]), by_product);
    struct states states = {
        .pending = tally->states[FLEET_DEVICE_PENDING],
        .active = tally->states[FLEET_DEVICE_ACTIVE],
        .revoked = tally->states[FLEET_DEVICE_REVOKED],
        .retired = tally->states[FLEET_DEVICE_RETIRED],
    };
    struct seen seen = {.hour = tally->hour, .day = tally->day, .week = tally->week, .never = tally->never};
    const struct stats stats = {
        .devices = tally->devices,
        .open_deployments = tally->open_deployments,
        .states = &states,
        .seen = &seen,
        .installed = {.count = tally->line_count, .items = tally->lines},
        .cut = tally->cut,
        .deployments = deployments,
    };
    return api_reply_json(call, 0, &stats_shape, &stats, err);
}
