/* SWUpdate's "general server" mode: what there is to do is said by the status alone. 302 and Location: an update; 404: none; 403: refused; 503:
 * later. Retry-After is the next poll. What its log says first (started, success, fail) is taken as a feedback. */
#include <string.h>

#include "api/ddi.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/poll.h"
#include "api/reply.h"
#include "common/text.h"
#include "db/ddi.h"

enum { LOG_BYTES = 4096 };

static bool enter(struct api_call *call, struct err *err) {
    if (!call->env->settings.ddi.enabled)
        return err_set(err, ERR_NOT_FOUND, "there is nothing at this path on this listener");
    return strcmp(api_var(call, "controller"), call->identity.id) == 0 ||
           err_set(err, ERR_IDENTITY, "the client is '%s', not the device of this path", call->identity.id);
}

/* An identifier out of the query, or nothing. */
static const char *id_of(const struct api_call *call, const char *name) {
    const char *value = name != NULL ? api_query(call, name) : NULL;
    return value != NULL && text_is_id(value) ? value : NULL;
}

/* The version that it says it runs, as a sequence, from the catalog in memory. */
static void observe(const struct api_call *call, const struct db_catalog *catalog, struct db_observation *seen) {
    const struct api_ddi_settings *settings = &call->env->settings.ddi;
    const char *version = settings->version_attribute != NULL ? api_query(call, settings->version_attribute) : NULL;
    const struct db_catalog_line *line = db_catalog_find(catalog, call->device.product);
    seen->product = id_of(call, settings->product_attribute);
    seen->hardware = id_of(call, settings->hardware_attribute);
    for (size_t i = 0; version != NULL && line != NULL && i < line->release_count; i++) {
        if (strcmp(line->releases[i].version, version) == 0) {
            seen->version = line->releases[i].version;
            seen->sequence = line->releases[i].sequence;
            seen->sequence_known = true;
        }
    }
}

/* It came back with the version of its open deployment, and ran another before: that was the update. */
static bool has_arrived(const struct api_call *call, const struct db_catalog *catalog, const struct db_observation *seen) {
    const struct db_device_hot *hot = &call->device;
    const struct db_release *release = hot->open_deployment != 0 ? db_catalog_release(catalog, hot->open_release) : NULL;
    return release != NULL && seen->sequence_known && seen->sequence == release->sequence &&
           (!hot->installed_known || hot->installed_sequence != seen->sequence);
}

static bool reply_update(struct api_call *call, const struct db_release *release, struct err *err) {
    const char *origin;
    call->reply.status = 302;
    return api_ddi_origin(call, &origin, err) && api_reply_headerf(call, err, "Location", "%s/firmware/%s", origin, release->path);
}

static bool decide(struct api_call *call, const struct db_catalog *catalog, struct err *err) {
    struct api_poll poll = {.ddi = true};
    observe(call, catalog, &poll.seen);
    if (has_arrived(call, catalog, &poll.seen)) {
        call->defer_to_writer = !call->writing;
        if (call->defer_to_writer)
            return true;
        if (!db_ddi_arrived(call->db, call->identity.id, &poll.seen, call->now, err))
            return false;
    }
    if (!api_poll_decide(call, catalog, &poll, err))
        return false;
    if (call->defer_to_writer)
        return true;
    if (!api_reply_headerf(call, err, "Retry-After", "%lld", (long long)api_poll_after(call)))
        return false;
    if (poll.reason == FLEET_REASON_OFFERED && !call->device.ddi_answered)
        return reply_update(call, poll.release, err);
    return err_set(err, ERR_NOT_FOUND, "no update: %s", fleet_reason_text(poll.reason));
}

bool api_ddi_general_get(struct api_call *call, struct err *err) {
    if (!enter(call, err))
        return false;
    const struct db_catalog *catalog = db_catalog_get(call->env->db);
    bool done = decide(call, catalog, err);
    /* "No update" is an answer: what the poll wrote stays written. */
    call->keep_writes = !done && call->writing && err->code == ERR_NOT_FOUND;
    db_catalog_put(catalog);
    return done;
}

/* One line of the client's log, made printable. */
static const char *log_line(const struct api_call *call) {
    const char *body = call->body;
    size_t len = call->body_len < LOG_BYTES ? call->body_len : LOG_BYTES;
    char *line = arena_strndup(call->arena, len > 0 ? body : "", len);
    for (size_t at = 0; line != NULL && at < len;) {
        uint32_t point = 0;
        size_t size = text_utf8_next(line + at, len - at, &point);
        if (size == 0 || point < 0x20 || point == 0x7f)
            line[at] = size == 0 ? '?' : ' ';
        at += size > 0 ? size : 1;
    }
    return line;
}

/* The first field of the line, as SWUpdate's [gservice] logevent formats begin when docs/ddi.md is followed. */
static void read_event(const char *line, struct db_ddi_feedback *feedback) {
    static const struct {
        const char *word;
        enum fleet_ddi_execution execution;
        enum fleet_ddi_finished finished;
    } events[] = {
        {"started", FLEET_DDI_PROCEEDING, FLEET_DDI_NONE},
        {"success", FLEET_DDI_CLOSED, FLEET_DDI_SUCCESS},
        {"fail", FLEET_DDI_CLOSED, FLEET_DDI_FAILURE},
    };
    size_t len = strcspn(line, ",");
    feedback->execution = FLEET_DDI_SCHEDULED; /* only logged */
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        if (strlen(events[i].word) == len && strncmp(line, events[i].word, len) == 0) {
            feedback->execution = events[i].execution;
            feedback->finished = events[i].finished;
        }
    }
}

/* Without an update under way there is nothing that the line could belong to: taken and forgotten. */
bool api_ddi_general_log(struct api_call *call, struct err *err) {
    enum fleet_ddi_verdict verdict;
    const char *line = log_line(call);
    struct db_ddi_feedback feedback = {
        .deployment = call->device.open_deployment,
        .progress_count = -1,
        .progress_of = -1,
        .code = -1,
        .details = {.count = 1, .items = &line},
        .confirms = call->env->settings.ddi.confirm_by_report,
    };
    if (line == NULL)
        return err_no_memory(err);
    if (!enter(call, err))
        return false;
    call->reply.status = 200;
    if (feedback.deployment == 0 || call->device.open_state == FLEET_ASSIGNED)
        return true;
    read_event(line, &feedback);
    return db_ddi_action_known(call->db, feedback.deployment, err) &&
           db_ddi_feedback(call->db, call->identity.id, &feedback, call->now, &verdict, err);
}
