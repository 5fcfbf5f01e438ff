#include "api/ddi.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/call.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/poll.h"
#include "api/reply.h"
#include "common/text.h"

enum { SLEEP_MAX_S = 23 * 3600 + 59 * 60 + 59, HREF_MAX = 2048 };

static const struct json_field link_fields[] = {
    {.name = "href", .type = JSON_TEXT, .offset = offsetof(struct api_ddi_link, href)},
};
const struct json_shape api_ddi_link_shape = JSON_SHAPE(struct api_ddi_link, link_fields);

/* Is the name one of the words of a list? */
static bool is_listed(const char *words, const char *name, size_t len) {
    while (words != NULL && *words != '\0') {
        size_t size = strcspn(words, " ");
        if (size == len && len > 0 && strncasecmp(words, name, len) == 0)
            return true;
        words += size;
        words += strspn(words, " ");
    }
    return false;
}

/* HOST or HOST:PORT of the characters that names and addresses are made of. */
static bool is_host(const char *text) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]";
    size_t len = strlen(text);
    return len > 0 && len < 256 && strspn(text, allowed) == len;
}

bool api_ddi_origin(struct api_call *call, const char **ret_origin, struct err *err) {
    const struct api_ddi_settings *settings = &call->env->settings.ddi;
    const char *host = api_header(call, "Host");
    if (settings->public_url != NULL) {
        *ret_origin = settings->public_url;
        return true;
    }
    if (host == NULL || !is_host(host))
        return err_set(err, ERR_INVALID, "the Host header is no name that links can be built from");
    const char *bracket = strrchr(host, ']');
    size_t len = bracket != NULL ? (size_t)(bracket - host) + 1 : strcspn(host, ":");
    if (settings->hosts != NULL && !is_listed(settings->hosts, host, len))
        return err_set(err, ERR_INVALID, "the Host '%.64s' is none of [ddi] hosts", host);
    *ret_origin = arena_printf(call->arena, "https://%s", host);
    return *ret_origin != NULL || err_no_memory(err);
}

bool api_ddi_enter(struct api_call *call, struct api_ddi *ret_ddi, struct err *err) {
    const char *tenant = api_var(call, "tenant");
    const char *origin;
    if (!call->env->settings.ddi.enabled || !is_listed(call->env->settings.ddi.tenants, tenant, strlen(tenant)))
        return err_set(err, ERR_NOT_FOUND, "there is no tenant '%.64s'", tenant);
    if (strcmp(api_var(call, "controller"), call->identity.id) != 0)
        return err_set(err, ERR_IDENTITY, "the client is '%s', not the device of this path", call->identity.id);
    if (!api_ddi_origin(call, &origin, err))
        return false;
    char *upper = arena_strdup(call->arena, tenant);
    if (upper == NULL)
        return err_no_memory(err);
    for (char *p = upper; *p != '\0'; p++)
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
    ret_ddi->base = arena_printf(call->arena, "%s/%s/controller/v1/%s", origin, upper, call->identity.id);
    return ret_ddi->base != NULL || err_no_memory(err);
}

bool api_ddi_reply(struct api_call *call, const struct json_shape *shape, const void *object, struct err *err) {
    const char *accept = api_header(call, "Accept");
    if (!api_reply_json(call, 200, shape, object, err))
        return false;
    if (accept != NULL && strcasestr(accept, "application/hal+json") != NULL)
        call->reply.content_type = "application/hal+json";
    return true;
}

bool api_ddi_action(struct api_call *call, int64_t *ret_id, struct err *err) {
    return api_number(api_var(call, "action"), "action", ret_id, err);
}

const struct api_ddi_link *api_ddi_link(struct api_call *call, const char *base, const char *format, ...) {
    char tail[HREF_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(tail, sizeof(tail), format, args);
    va_end(args);
    struct api_ddi_link *link = arena_alloc(call->arena, sizeof(*link));
    if (link == NULL || len < 0 || (size_t)len >= sizeof(tail))
        return NULL;
    link->href = arena_printf(call->arena, "%s/%s", base, tail);
    return link->href != NULL ? link : NULL;
}

bool api_ddi_is_open(const struct api_call *call, int64_t action) {
    const struct db_device_hot *hot = &call->device;
    return hot->open_deployment == action && action != 0 && hot->open_state != FLEET_ASSIGNED && hot->open_state != FLEET_CANCELLING &&
           !hot->ddi_answered;
}

/* ---- the poll ---- */

struct polling {
    const char *sleep;
};

struct poll_config {
    const struct polling *polling;
};

struct poll_links {
    const struct api_ddi_link *deployment, *cancel, *config;
};

struct poll_reply {
    const struct poll_config *config;
    const struct poll_links *links;
};

static const struct json_field polling_fields[] = {
    {.name = "sleep", .type = JSON_TEXT, .offset = offsetof(struct polling, sleep)},
};
static const struct json_shape polling_shape = JSON_SHAPE(struct polling, polling_fields);

static const struct json_field config_fields[] = {
    {.name = "polling", .type = JSON_STRUCT, .offset = offsetof(struct poll_config, polling), .shape = &polling_shape},
};
static const struct json_shape config_shape = JSON_SHAPE(struct poll_config, config_fields);

static const struct json_field links_fields[] = {
    {.name = "deploymentBase", .type = JSON_STRUCT, .offset = offsetof(struct poll_links, deployment), .shape = &api_ddi_link_shape},
    {.name = "cancelAction", .type = JSON_STRUCT, .offset = offsetof(struct poll_links, cancel), .shape = &api_ddi_link_shape},
    {.name = "configData", .type = JSON_STRUCT, .offset = offsetof(struct poll_links, config), .shape = &api_ddi_link_shape},
};
static const struct json_shape links_shape = JSON_SHAPE(struct poll_links, links_fields);

static const struct json_field poll_fields[] = {
    {.name = "config", .type = JSON_STRUCT, .offset = offsetof(struct poll_reply, config), .shape = &config_shape},
    {.name = "_links", .type = JSON_STRUCT, .offset = offsetof(struct poll_reply, links), .shape = &links_shape},
};
static const struct json_shape poll_shape = JSON_SHAPE(struct poll_reply, poll_fields);

/* Past the installation the client still needs its link, to say how it went, whatever else is decided meanwhile. */
static int64_t open_action(const struct api_call *call, const struct api_poll *poll) {
    const struct db_device_hot *hot = &call->device;
    bool installing = hot->open_state == FLEET_INSTALLING || hot->open_state == FLEET_REBOOTING;
    if (poll->reason == FLEET_REASON_OFFERED)
        return poll->deployment == hot->open_deployment && hot->ddi_answered ? 0 : poll->deployment;
    bool goes_on = installing || poll->reason == FLEET_REASON_AWAITING_REPORT;
    return goes_on && api_ddi_is_open(call, hot->open_deployment) ? hot->open_deployment : 0;
}

/* At most one of deploymentBase and cancelAction. */
static bool fill_links(struct api_call *call, const struct api_ddi *ddi, const struct api_poll *poll, struct poll_links *links, struct err *err) {
    const struct db_device_hot *hot = &call->device;
    bool cancelling = hot->open_deployment != 0 && hot->open_state == FLEET_CANCELLING;
    int64_t action = cancelling ? 0 : open_action(call, poll);
    if (cancelling)
        links->cancel = api_ddi_link(call, ddi->base, "cancelAction/%lld", (long long)hot->open_deployment);
    if (action != 0)
        links->deployment = api_ddi_link(call, ddi->base, "deploymentBase/%lld", (long long)action);
    if (!hot->ddi_configured)
        links->config = api_ddi_link(call, ddi->base, "configData");
    bool failed = (cancelling && links->cancel == NULL) || (action != 0 && links->deployment == NULL) ||
                  (!hot->ddi_configured && links->config == NULL);
    return !failed || err_no_memory(err);
}

static bool reply_poll(struct api_call *call, const struct api_ddi *ddi, const struct api_poll *poll, struct err *err) {
    char sleep[16];
    int64_t after = api_poll_after(call);
    after = after > SLEEP_MAX_S ? SLEEP_MAX_S : after;
    snprintf(sleep, sizeof(sleep), "%02d:%02d:%02d", (int)(after / 3600), (int)(after / 60 % 60), (int)(after % 60));
    const struct polling polling = {.sleep = sleep};
    const struct poll_config config = {.polling = &polling};
    struct poll_links links = {0};
    const struct poll_reply reply = {.config = &config, .links = &links};
    return fill_links(call, ddi, poll, &links, err) && api_ddi_reply(call, &poll_shape, &reply, err);
}

bool api_ddi_poll(struct api_call *call, struct err *err) {
    struct api_ddi ddi;
    struct api_poll poll = {.ddi = true};
    if (!api_ddi_enter(call, &ddi, err))
        return false;
    const struct db_catalog *catalog = db_catalog_get(call->env->db);
    bool done = api_poll_decide(call, catalog, &poll, err) && (call->defer_to_writer || reply_poll(call, &ddi, &poll, err));
    db_catalog_put(catalog);
    return done;
}
