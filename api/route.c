#include "api/handlers.h"
#include "api/import.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "certs/request.h"
#include "common/text.h"

/* Device rows stand first: they are asked for most. */
const struct api_route api_routes[] = {
#define DEVICE(method, pattern, role, body, limit, run, handler)                                                                                     \
    { API_DEVICE, method, pattern, role, "", body, limit, run, 0, handler, NULL }
#define DDI(method, path, body, limit, run, policy, handler)                                                                                         \
    {                                                                                                                                                \
        API_DEVICE | API_TOKEN, method, "/{tenant}/controller/v1/{controller}" path, API_ACTIVE, "", body, limit, run, API_DDI | (policy), handler,  \
            NULL                                                                                                                                     \
    }
#define ADMIN(method, pattern, scope, body, limit, run, policy, handler)                                                                             \
    { API_ADMIN, method, pattern, API_OPERATOR, scope, body, limit, run, policy, handler, NULL }
#define HEALTH(pattern, handler)                                                                                                                     \
    { API_ADMIN, "GET", pattern, API_ANYONE, "", API_NO_BODY, 0, API_READ, 0, handler, NULL }

    DEVICE("GET", "/check", API_ACTIVE, API_NO_BODY, 0, API_READ, api_check_get),
    DEVICE("GET", "/firmware/{path...}", API_ACTIVE, API_NO_BODY, 0, API_READ, api_firmware_get),
    DEVICE("POST", "/report", API_ACTIVE, API_JSON, 4096, API_WRITE, api_report_post),
    DEVICE("GET", "/tuf/{file}", API_ACTIVE, API_NO_BODY, 0, API_READ, api_tuf_get),
    DEVICE("GET", "/whoami", API_ANY_DEVICE, API_NO_BODY, 0, API_READ, api_whoami_device),

    DDI("GET", "", API_NO_BODY, 0, API_READ, 0, api_ddi_poll),
    DDI("GET", "/deploymentBase/{action}", API_NO_BODY, 0, API_READ, 0, api_ddi_deployment_get),
    DDI("POST", "/deploymentBase/{action}/feedback", API_JSON, API_DDI_BODY_MAX, API_WRITE, 0, api_ddi_feedback_post),
    DDI("GET", "/softwaremodules/{module}/artifacts/{file}", API_NO_BODY, 0, API_READ, API_CUT, api_ddi_artifact_get),
    DDI("GET", "/softwaremodules/{module}/artifacts", API_NO_BODY, 0, API_READ, 0, api_ddi_artifact_list),
    DDI("PUT", "/configData", API_JSON, API_DDI_BODY_MAX, API_WRITE, 0, api_ddi_config_put),
    DDI("GET", "/cancelAction/{action}", API_NO_BODY, 0, API_READ, 0, api_ddi_cancel_get),
    DDI("POST", "/cancelAction/{action}/feedback", API_JSON, API_DDI_BODY_MAX, API_WRITE, 0, api_ddi_cancel_post),
    DDI("GET", "/installedBase/{action}", API_NO_BODY, 0, API_READ, 0, api_ddi_installed_get),
    {API_DEVICE, "GET", "/general/{controller}", API_ACTIVE, "", API_NO_BODY, 0, API_READ, API_DDI, api_ddi_general_get, NULL},
    {API_DEVICE, "PUT", "/general/{controller}/log", API_ACTIVE, "", API_JSON, 65536, API_WRITE, API_DDI, api_ddi_general_log, NULL},

    {API_ENROL, "GET", "/.well-known/est/cacerts", API_ANYONE, "", API_NO_BODY, 0, API_READ, API_BY_ADDRESS, api_enrol_cacerts, NULL},
    {API_ENROL, "POST", "/.well-known/est/simpleenroll", API_ANYONE, "", API_BYTES, CERTS_REQUEST_MAX, API_READ, API_BY_ADDRESS, api_enrol_simple,
     NULL},
    {API_DEVICE | API_ENROL, "POST", "/.well-known/est/simplereenroll", API_ACTIVE, "", API_BYTES, CERTS_REQUEST_MAX, API_READ, API_BY_ADDRESS,
     api_enrol_again, NULL},

    HEALTH("/healthz", api_system_healthz),
    HEALTH("/readyz", api_system_readyz),
    ADMIN("GET", "/metrics", "metrics:read", API_NO_BODY, 0, API_READ, 0, api_system_metrics),
    ADMIN("GET", "/api/v1/openapi.yaml", "", API_NO_BODY, 0, API_READ, 0, api_system_openapi),
    ADMIN("GET", "/api/v1/whoami", "", API_NO_BODY, 0, API_READ, 0, api_whoami_operator),

    ADMIN("GET", "/api/v1/stats", "device:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_stats_get),

    ADMIN("GET", "/api/v1/products", "release:read", API_NO_BODY, 0, API_READ, 0, api_product_list),
    ADMIN("POST", "/api/v1/products", "release:publish", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT, api_product_create),
    ADMIN("GET", "/api/v1/products/{product}", "release:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_product_get),
    ADMIN("PUT", "/api/v1/products/{product}", "rollout:write", API_JSON, 4096, API_WRITE, API_IF_MATCH | API_BY_PRODUCT, api_product_put),

    ADMIN("GET", "/api/v1/devices", "device:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_device_list),
    ADMIN("POST", "/api/v1/devices", "device:write", API_JSON, 16384, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT, api_device_create),
    {API_ADMIN, "POST", "/api/v1/devices/import", API_OPERATOR, "device:write", API_STREAM, API_IMPORT_BODY_MAX, API_READ,
     API_IDEMPOTENT | API_BY_PRODUCT, api_device_import, &api_device_import_stream},
    ADMIN("GET", "/api/v1/devices/{device}", "device:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_device_get),
    ADMIN("PATCH", "/api/v1/devices/{device}", "device:write", API_JSON, 16384, API_WRITE, API_IF_MATCH | API_BY_PRODUCT, api_device_patch),
    ADMIN("PUT", "/api/v1/devices/{device}/tags", "device:write", API_JSON, 16384, API_WRITE, API_IF_MATCH | API_BY_PRODUCT, api_device_tags),
    ADMIN("POST", "/api/v1/devices/{device}/accept", "device:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT, api_device_accept),
    ADMIN("POST", "/api/v1/devices/{device}/revoke", "device:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT, api_device_revoke),
    ADMIN("POST", "/api/v1/devices/{device}/retire", "device:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT, api_device_retire),
    ADMIN("GET", "/api/v1/devices/{device}/ddi", "device:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_ddi_client_get),
    ADMIN("POST", "/api/v1/devices/{device}/ddi/ask", "device:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT, api_ddi_client_ask),
    ADMIN("POST", "/api/v1/devices/{device}/ddi/token", "device:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT,
          api_ddi_token_create),
    ADMIN("POST", "/api/v1/devices/{device}/ddi/token/revoke", "device:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT,
          api_ddi_token_revoke),

    ADMIN("GET", "/api/v1/devices/{device}/decision", "device:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_decision_get),

    ADMIN("GET", "/api/v1/images/{sha256}", "release:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_image_get),
    {API_ADMIN, "PUT", "/api/v1/images/{sha256}", API_OPERATOR, "release:publish", API_STREAM, API_IMAGE_MAX, API_WRITE, API_BY_PRODUCT,
     api_image_put, &api_image_stream},

    ADMIN("GET", "/api/v1/releases", "release:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_release_list),
    ADMIN("POST", "/api/v1/releases", "release:publish", API_JSON, 2097152, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT, api_release_publish),
    ADMIN("GET", "/api/v1/releases/{product}/{version}", "release:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_release_get),

    ADMIN("POST", "/api/v1/releases/{product}/{version}/withdraw", "release:publish", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT,
          api_release_withdraw),

    ADMIN("GET", "/api/v1/metadata", "release:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_metadata_get),
    ADMIN("POST", "/api/v1/metadata", "release:publish", API_JSON, 2097152, API_WRITE, API_IDEMPOTENT, api_metadata_post),
    ADMIN("GET", "/api/v1/metadata/{file}", "release:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_tuf_get),

    ADMIN("GET", "/api/v1/deployments", "rollout:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_deployment_list),
    ADMIN("POST", "/api/v1/deployments", "rollout:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT, api_deployment_assign),
    ADMIN("GET", "/api/v1/deployments/{deployment}", "rollout:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_deployment_get),
    ADMIN("GET", "/api/v1/deployments/{deployment}/log", "rollout:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_ddi_log_list),
    ADMIN("POST", "/api/v1/deployments/{deployment}/cancel", "rollout:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT,
          api_deployment_cancel),
    ADMIN("POST", "/api/v1/deployments/{deployment}/retry", "rollout:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT,
          api_deployment_retry),
    ADMIN("POST", "/api/v1/deployments/{deployment}/force-close", "rollout:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT,
          api_deployment_force_close),

    ADMIN("GET", "/api/v1/rollouts", "rollout:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_rollout_list),
    ADMIN("POST", "/api/v1/rollouts", "rollout:write", API_JSON, 1048576, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT, api_rollout_create),
    ADMIN("POST", "/api/v1/rollouts/preview", "rollout:read", API_JSON, 1048576, API_READ, API_IDEMPOTENT | API_BY_PRODUCT, api_rollout_preview),
    ADMIN("GET", "/api/v1/rollouts/{rollout}", "rollout:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_rollout_get),
    ADMIN("PATCH", "/api/v1/rollouts/{rollout}", "rollout:write", API_JSON, 1048576, API_WRITE, API_IF_MATCH | API_BY_PRODUCT, api_rollout_patch),
    ADMIN("DELETE", "/api/v1/rollouts/{rollout}", "rollout:write", API_NO_BODY, 0, API_WRITE, API_IF_MATCH | API_BY_PRODUCT, api_rollout_delete),
    ADMIN("GET", "/api/v1/rollouts/{rollout}/preview", "rollout:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_rollout_preview_draft),
    ADMIN("GET", "/api/v1/rollouts/{rollout}/devices", "rollout:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_rollout_devices),
    ADMIN("POST", "/api/v1/rollouts/{rollout}/start", "rollout:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT,
          api_rollout_move_start),
    ADMIN("POST", "/api/v1/rollouts/{rollout}/pause", "rollout:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT,
          api_rollout_move_pause),
    ADMIN("POST", "/api/v1/rollouts/{rollout}/resume", "rollout:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT,
          api_rollout_move_resume),
    ADMIN("POST", "/api/v1/rollouts/{rollout}/stop", "rollout:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT,
          api_rollout_move_stop),
    ADMIN("POST", "/api/v1/rollouts/{rollout}/approve", "rollout:approve", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT,
          api_rollout_move_approve),
    ADMIN("POST", "/api/v1/rollouts/{rollout}/retry", "rollout:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT,
          api_rollout_move_retry),

    ADMIN("GET", "/api/v1/backups", "token:admin", API_NO_BODY, 0, API_READ, 0, api_backup_list),
    ADMIN("POST", "/api/v1/backups", "token:admin", API_JSON, 4096, API_WRITE, API_IDEMPOTENT, api_backup_create),

    ADMIN("GET", "/api/v1/tokens", "token:admin", API_NO_BODY, 0, API_READ, 0, api_token_list),
    ADMIN("POST", "/api/v1/tokens", "token:admin", API_JSON, 8192, API_WRITE, API_IDEMPOTENT, api_token_create),
    ADMIN("GET", "/api/v1/tokens/{token}", "token:admin", API_NO_BODY, 0, API_READ, 0, api_token_get),
    ADMIN("POST", "/api/v1/tokens/{token}/rotate", "token:admin", API_JSON, 4096, API_WRITE, API_IDEMPOTENT, api_token_rotate),
    ADMIN("DELETE", "/api/v1/tokens/{token}", "token:admin", API_NO_BODY, 0, API_WRITE, API_IF_MATCH, api_token_delete),

    ADMIN("GET", "/api/v1/certificates/expiring", "device:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_expiring_list),
    ADMIN("GET", "/api/v1/claims", "device:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_claim_list),
    ADMIN("POST", "/api/v1/claims", "device:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT, api_claim_create),
    ADMIN("GET", "/api/v1/claims/{claim}", "device:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_claim_get),
    ADMIN("DELETE", "/api/v1/claims/{claim}", "device:write", API_NO_BODY, 0, API_WRITE, API_IF_MATCH | API_BY_PRODUCT, api_claim_delete),

    ADMIN("GET", "/api/v1/certificates", "device:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_certificate_list),
    ADMIN("GET", "/api/v1/certificates/{serial}", "device:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_certificate_get),
    ADMIN("POST", "/api/v1/certificates/{serial}/revoke", "device:write", API_JSON, 4096, API_WRITE, API_IDEMPOTENT | API_BY_PRODUCT,
          api_certificate_revoke),

    ADMIN("GET", "/api/v1/events", "device:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_event_list),
    ADMIN("GET", "/api/v1/events/stream", "device:read", API_NO_BODY, 0, API_READ, API_BY_PRODUCT, api_stream_events),
    ADMIN("GET", "/api/v1/webhooks", "token:admin", API_NO_BODY, 0, API_READ, 0, api_webhook_list),
    ADMIN("POST", "/api/v1/webhooks", "token:admin", API_JSON, 16384, API_WRITE, API_IDEMPOTENT, api_webhook_create),
    ADMIN("GET", "/api/v1/webhooks/{webhook}", "token:admin", API_NO_BODY, 0, API_READ, 0, api_webhook_get),
    ADMIN("PATCH", "/api/v1/webhooks/{webhook}", "token:admin", API_JSON, 16384, API_WRITE, API_IF_MATCH, api_webhook_patch),
    ADMIN("DELETE", "/api/v1/webhooks/{webhook}", "token:admin", API_NO_BODY, 0, API_WRITE, API_IF_MATCH, api_webhook_delete),
    ADMIN("POST", "/api/v1/webhooks/{webhook}/rotate", "token:admin", API_NO_BODY, 0, API_WRITE, API_IDEMPOTENT, api_webhook_rotate),
    ADMIN("POST", "/api/v1/webhooks/{webhook}/test", "token:admin", API_NO_BODY, 0, API_WRITE, API_IDEMPOTENT, api_delivery_test),
    ADMIN("GET", "/api/v1/webhooks/{webhook}/deliveries", "token:admin", API_NO_BODY, 0, API_READ, 0, api_delivery_list),
    ADMIN("POST", "/api/v1/webhooks/{webhook}/deliveries/{event}/retry", "token:admin", API_NO_BODY, 0, API_WRITE, API_IDEMPOTENT,
          api_delivery_retry),
    ADMIN("GET", "/api/v1/audit", "audit:read", API_NO_BODY, 0, API_READ, 0, api_audit_list),
    ADMIN("GET", "/api/v1/audit/checkpoint", "audit:read", API_NO_BODY, 0, API_READ, 0, api_audit_checkpoint),
#undef DEVICE
#undef DDI
#undef ADMIN
#undef HEALTH
};
const size_t api_route_count = ARRAY_LEN(api_routes);

/* One variable of a match, still raw. */
struct capture {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};

/* Holds path against pattern, byte by byte; a variable takes one segment that is not empty, "{name...}" all that is left. */
static bool match(const char *pattern, const char *path, struct capture *captures, size_t *ret_count) {
    size_t count = 0;
    while (*pattern != '\0') {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        const char *name = pattern + 1;
        const char *close = strchr(name, '}');
        if (close == NULL || count == API_MAX_VARS)
            return false;
        size_t name_len = (size_t)(close - name);
        bool rest = name_len > 3 && memcmp(close - 3, "...", 3) == 0;
        size_t value_len = rest ? strlen(path) : strcspn(path, "/");
        if (value_len == 0)
            return false;
        captures[count++] = (struct capture){.name = name, .name_len = rest ? name_len - 3 : name_len, .value = path, .value_len = value_len};
        path += value_len;
        pattern = close + 1;
    }
    *ret_count = count;
    return *path == '\0';
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Percent-decoded into the arena; NULL for a bad escape, an escaped "/", a control character, or text that is not UTF-8. "+" is a plus. */
static char *decode(struct arena *arena, const char *text, size_t len) {
    char *out = arena_alloc(arena, len + 1);
    if (out == NULL)
        return NULL;
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '%') {
            out[used++] = text[i];
            continue;
        }
        int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        if (low < 0 || high * 16 + low == '/')
            return NULL;
        out[used++] = (char)(high * 16 + low);
        i += 2;
    }
    return strlen(out) == used && text_is_printable(out) ? out : NULL;
}

static bool vars_fill(struct api_call *call, const struct capture *captures, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct capture *capture = &captures[i];
        bool rest = capture->name[capture->name_len] == '.';
        /* A path below {path...} is compared with stored paths as it is: no second spelling of it exists. */
        char *value = rest ? arena_strndup(call->arena, capture->value, capture->value_len) : decode(call->arena, capture->value, capture->value_len);
        const char *name = arena_strndup(call->arena, capture->name, capture->name_len);
        if (value == NULL || name == NULL)
            return false;
        call->vars[i] = (struct api_param){.name = name, .value = value};
    }
    call->var_count = count;
    return true;
}

/* "GET, HEAD, PUT" of all rows that match; NULL when none does. */
static const char *allow_list(struct api_call *call) {
    struct capture captures[API_MAX_VARS];
    size_t count;
    char text[128] = "";
    size_t used = 0;
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        if ((route->listeners & call->listener) == 0 || !match(route->pattern, call->path, captures, &count))
            continue;
        int len = snprintf(text + used, sizeof(text) - used, "%s%s%s", used > 0 ? ", " : "", route->method,
                           strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
        if (len > 0 && used + (size_t)len < sizeof(text))
            used += (size_t)len;
    }
    return used > 0 ? arena_strdup(call->arena, text) : NULL;
}

const struct api_route *api_route_find(struct api_call *call, const char **ret_allow) {
    struct capture captures[API_MAX_VARS];
    size_t count;
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        if ((route->listeners & call->listener) == 0 || strcmp(route->method, call->method) != 0 ||
            !match(route->pattern, call->path, captures, &count))
            continue;
        return vars_fill(call, captures, count) ? route : NULL;
    }
    *ret_allow = allow_list(call);
    return NULL;
}

static const char *param(const struct api_param *params, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(params[i].name, name) == 0)
            return params[i].value;
    return NULL;
}

const char *api_var(const struct api_call *call, const char *name) {
    const char *value = param(call->vars, call->var_count, name);
    return value != NULL ? value : "";
}

const char *api_query(const struct api_call *call, const char *name) {
    return param(call->query, call->query_count, name);
}

const char *api_header(const struct api_call *call, const char *name) {
    for (size_t i = 0; i < call->header_count; i++)
        if (strcasecmp(call->headers[i].name, name) == 0)
            return call->headers[i].value;
    return NULL;
}

static bool query_add(struct api_call *call, const char *text, size_t len, struct err *err) {
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
    char *name = decode(call->arena, text, name_len);
    char *value = equals != NULL ? decode(call->arena, equals + 1, len - name_len - 1) : arena_strdup(call->arena, "");
    if (name == NULL || value == NULL)
        return err_set(err, ERR_INVALID, "query parameter '%.*s' has a bad escape or a control character", (int)(name_len < 64 ? name_len : 64),
                       text);
    if (api_query(call, name) != NULL)
        return err_set_field(err, ERR_INVALID, name, "query parameter '%s' is given twice", name);
    if (call->query_count == API_MAX_PARAMS)
        return err_set(err, ERR_INVALID, "more than %d query parameters", API_MAX_PARAMS);
    call->query[call->query_count++] = (struct api_param){.name = name, .value = value};
    return true;
}

bool api_query_parse(struct api_call *call, const char *raw, struct err *err) {
    while (raw != NULL && *raw != '\0') {
        size_t len = strcspn(raw, "&");
        if (len > 0 && !query_add(call, raw, len, err))
            return false;
        raw += len;
        raw += *raw == '&';
    }
    return true;
}
