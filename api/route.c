#include "api/handlers.h"
#include "api/import.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "certs/request.h"
#include "common/text.h"

/* Device rows stand first: they are asked for most. */
const struct api_route api_routes[] = {
#define ROW(on, verb, path, who, of, body_kind, limit, thread, flags, names, handle)                                                                 \
    .listeners = on, .method = verb, .pattern = path, .role = who, .scope = of, .body = body_kind, .body_limit = limit, .run = thread,               \
    .policy = flags, .query = names, .handler = handle

#define DEVICE(verb, path, who, body, limit, thread, flags, handle)                                                                                  \
    { ROW(API_DEVICE, verb, path, who, "", body, limit, thread, flags, NULL, handle) }
#define DDI(verb, path, body, limit, thread, flags, handle)                                                                                          \
    {                                                                                                                                                \
        ROW(API_DEVICE | API_TOKEN, verb, "/{tenant}/controller/v1/{controller}" path, API_ACTIVE, "", body, limit, thread, API_DDI | (flags), NULL, \
            handle)                                                                                                                                  \
    }
#define EST(on, verb, path, who, body, limit, handle)                                                                                                \
    { ROW(on, verb, "/.well-known/est/" path, who, "", body, limit, API_READ, API_BY_ADDRESS, NULL, handle) }
#define HEALTH(path, handle)                                                                                                                         \
    { ROW(API_ADMIN, "GET", path, API_ANYONE, "", API_NO_BODY, 0, API_READ, 0, NULL, handle) }

/* The conventions of /api/v1: a GET takes the parameters that are named, and a list pages; every POST may be repeated; every change of a resource
 * says which state of it is meant. */
#define ADMIN(verb, path, scope, body, limit, thread, flags, names, handle)                                                                          \
    { ROW(API_ADMIN, verb, path, API_OPERATOR, scope, body, limit, thread, flags, names, handle) }
#define STREAM(verb, path, scope, limit, thread, flags, names, handle, operations)                                                                   \
    { ROW(API_ADMIN, verb, path, API_OPERATOR, scope, API_STREAM, limit, thread, flags, names, handle), .stream = &(operations) }
#define GET(path, scope, flags, names, handle)                ADMIN("GET", path, scope, API_NO_BODY, 0, API_READ, flags, names, handle)
#define LIST(path, scope, flags, filters, handle)             GET(path, scope, flags, "limit sort cursor " filters, handle)
#define POST(path, scope, limit, flags, handle)               ADMIN("POST", path, scope, API_JSON, limit, API_WRITE, API_IDEMPOTENT | (flags), "", handle)
#define CHANGE(verb, path, scope, body, limit, flags, handle) ADMIN(verb, path, scope, body, limit, API_WRITE, API_IF_MATCH | (flags), "", handle)

    DEVICE("GET", "/check", API_ACTIVE, API_NO_BODY, 0, API_READ, 0, api_check_get),
    DEVICE("GET", "/firmware/{path...}", API_ACTIVE, API_NO_BODY, 0, API_READ, 0, api_firmware_get),
    DEVICE("POST", "/report", API_ACTIVE, API_JSON, 4096, API_WRITE, 0, api_report_post),
    DEVICE("GET", "/tuf/{file}", API_ACTIVE, API_NO_BODY, 0, API_READ, 0, api_tuf_get),
    DEVICE("GET", "/whoami", API_ANY_DEVICE, API_NO_BODY, 0, API_READ, 0, api_whoami_device),

    DDI("GET", "", API_NO_BODY, 0, API_READ, 0, api_ddi_poll),
    DDI("GET", "/deploymentBase/{action}", API_NO_BODY, 0, API_READ, 0, api_ddi_deployment_get),
    DDI("POST", "/deploymentBase/{action}/feedback", API_JSON, API_DDI_BODY_MAX, API_WRITE, 0, api_ddi_feedback_post),
    DDI("GET", "/softwaremodules/{module}/artifacts/{file}", API_NO_BODY, 0, API_READ, API_CUT, api_ddi_artifact_get),
    DDI("GET", "/softwaremodules/{module}/artifacts", API_NO_BODY, 0, API_READ, 0, api_ddi_artifact_list),
    DDI("PUT", "/configData", API_JSON, API_DDI_BODY_MAX, API_WRITE, 0, api_ddi_config_put),
    DDI("GET", "/cancelAction/{action}", API_NO_BODY, 0, API_READ, 0, api_ddi_cancel_get),
    DDI("POST", "/cancelAction/{action}/feedback", API_JSON, API_DDI_BODY_MAX, API_WRITE, 0, api_ddi_cancel_post),
    DDI("GET", "/installedBase/{action}", API_NO_BODY, 0, API_READ, 0, api_ddi_installed_get),
    DEVICE("GET", "/general/{controller}", API_ACTIVE, API_NO_BODY, 0, API_READ, API_DDI, api_ddi_general_get),
    DEVICE("PUT", "/general/{controller}/log", API_ACTIVE, API_JSON, 65536, API_WRITE, API_DDI, api_ddi_general_log),

    EST(API_ENROL, "GET", "cacerts", API_ANYONE, API_NO_BODY, 0, api_enrol_cacerts),
    EST(API_ENROL, "POST", "simpleenroll", API_ANYONE, API_BYTES, CERTS_REQUEST_MAX, api_enrol_simple),
    EST(API_DEVICE | API_ENROL, "POST", "simplereenroll", API_ACTIVE, API_BYTES, CERTS_REQUEST_MAX, api_enrol_again),

    HEALTH("/healthz", api_system_healthz),
    HEALTH("/readyz", api_system_readyz),
    ADMIN("GET", "/metrics", "metrics:read", API_NO_BODY, 0, API_READ, 0, NULL, api_system_metrics),
    GET("/api/v1/openapi.yaml", "", 0, "", api_system_openapi),
    GET("/api/v1/whoami", "", 0, "", api_whoami_operator),

    GET("/api/v1/stats", "device:read", API_BY_PRODUCT, "product", api_stats_get),

    LIST("/api/v1/products", "release:read", API_BY_PRODUCT, "", api_product_list),
    POST("/api/v1/products", "release:publish", 4096, API_BY_PRODUCT, api_product_create),
    GET("/api/v1/products/{product}", "release:read", API_BY_PRODUCT, "", api_product_get),
    CHANGE("PATCH", "/api/v1/products/{product}", "rollout:write", API_JSON, 4096, API_BY_PRODUCT, api_product_patch),

    LIST("/api/v1/devices", "device:read", API_BY_PRODUCT, "state product hardware tag version id_prefix filter sort", api_device_list),
    POST("/api/v1/devices", "device:write", 16384, API_BY_PRODUCT, api_device_create),
    STREAM("POST", "/api/v1/devices/import", "device:write", API_IMPORT_BODY_MAX, API_READ, API_IDEMPOTENT | API_BY_PRODUCT, "dry_run",
           api_device_import, api_device_import_stream),
    GET("/api/v1/devices/{device}", "device:read", API_BY_PRODUCT, "", api_device_get),
    CHANGE("PATCH", "/api/v1/devices/{device}", "device:write", API_JSON, 16384, API_BY_PRODUCT, api_device_patch),
    CHANGE("PUT", "/api/v1/devices/{device}/tags", "device:write", API_JSON, 16384, API_BY_PRODUCT, api_device_tags),
    POST("/api/v1/devices/{device}/accept", "device:write", 4096, API_BY_PRODUCT, api_device_accept),
    POST("/api/v1/devices/{device}/revoke", "device:write", 4096, API_BY_PRODUCT, api_device_revoke),
    POST("/api/v1/devices/{device}/retire", "device:write", 4096, API_BY_PRODUCT, api_device_retire),
    GET("/api/v1/devices/{device}/ddi", "device:read", API_BY_PRODUCT, "", api_ddi_client_get),
    POST("/api/v1/devices/{device}/ddi/ask", "device:write", 4096, API_BY_PRODUCT, api_ddi_client_ask),
    POST("/api/v1/devices/{device}/ddi/token", "device:write", 4096, API_BY_PRODUCT, api_ddi_token_create),
    POST("/api/v1/devices/{device}/ddi/token/revoke", "device:write", 4096, API_BY_PRODUCT, api_ddi_token_revoke),

    GET("/api/v1/devices/{device}/decision", "device:read", API_BY_PRODUCT, "", api_decision_get),

    GET("/api/v1/images/{sha256}", "release:read", API_BY_PRODUCT, "", api_image_get),
    STREAM("PUT", "/api/v1/images/{sha256}", "release:publish", API_IMAGE_MAX, API_WRITE, API_BY_PRODUCT, "", api_image_put, api_image_stream),

    LIST("/api/v1/releases", "release:read", API_BY_PRODUCT, "product", api_release_list),
    POST("/api/v1/releases", "release:publish", 2097152, API_BY_PRODUCT, api_release_publish),
    GET("/api/v1/releases/{product}/{version}", "release:read", API_BY_PRODUCT, "", api_release_get),

    POST("/api/v1/releases/{product}/{version}/withdraw", "release:publish", 4096, API_BY_PRODUCT, api_release_withdraw),

    GET("/api/v1/metadata", "release:read", API_BY_PRODUCT, "", api_metadata_get),
    POST("/api/v1/metadata", "release:publish", 2097152, 0, api_metadata_post),
    GET("/api/v1/metadata/{file}", "release:read", API_BY_PRODUCT, "", api_tuf_get),

    LIST("/api/v1/deployments", "rollout:read", API_BY_PRODUCT, "device product state rollout", api_deployment_list),
    POST("/api/v1/deployments", "rollout:write", 4096, API_BY_PRODUCT, api_deployment_assign),
    GET("/api/v1/deployments/{deployment}", "rollout:read", API_BY_PRODUCT, "", api_deployment_get),
    LIST("/api/v1/deployments/{deployment}/log", "rollout:read", API_BY_PRODUCT, "", api_ddi_log_list),
    POST("/api/v1/deployments/{deployment}/cancel", "rollout:write", 4096, API_BY_PRODUCT, api_deployment_cancel),
    POST("/api/v1/deployments/{deployment}/retry", "rollout:write", 4096, API_BY_PRODUCT, api_deployment_retry),
    POST("/api/v1/deployments/{deployment}/force-close", "rollout:write", 4096, API_BY_PRODUCT, api_deployment_force_close),

    LIST("/api/v1/rollouts", "rollout:read", API_BY_PRODUCT, "product state sort", api_rollout_list),
    POST("/api/v1/rollouts", "rollout:write", 1048576, API_BY_PRODUCT, api_rollout_create),
    ADMIN("POST", "/api/v1/rollouts/preview", "rollout:read", API_JSON, 1048576, API_READ, API_IDEMPOTENT | API_BY_PRODUCT, "", api_rollout_preview),
    GET("/api/v1/rollouts/{rollout}", "rollout:read", API_BY_PRODUCT, "", api_rollout_get),
    CHANGE("PATCH", "/api/v1/rollouts/{rollout}", "rollout:write", API_JSON, 1048576, API_BY_PRODUCT, api_rollout_patch),
    CHANGE("DELETE", "/api/v1/rollouts/{rollout}", "rollout:write", API_NO_BODY, 0, API_BY_PRODUCT, api_rollout_delete),
    GET("/api/v1/rollouts/{rollout}/preview", "rollout:read", API_BY_PRODUCT, "", api_rollout_preview_draft),
    LIST("/api/v1/rollouts/{rollout}/devices", "rollout:read", API_BY_PRODUCT, "state phase", api_rollout_devices),
    POST("/api/v1/rollouts/{rollout}/start", "rollout:write", 4096, API_BY_PRODUCT, api_rollout_move_start),
    POST("/api/v1/rollouts/{rollout}/pause", "rollout:write", 4096, API_BY_PRODUCT, api_rollout_move_pause),
    POST("/api/v1/rollouts/{rollout}/resume", "rollout:write", 4096, API_BY_PRODUCT, api_rollout_move_resume),
    POST("/api/v1/rollouts/{rollout}/stop", "rollout:write", 4096, API_BY_PRODUCT, api_rollout_move_stop),
    POST("/api/v1/rollouts/{rollout}/approve", "rollout:approve", 4096, API_BY_PRODUCT, api_rollout_move_approve),
    POST("/api/v1/rollouts/{rollout}/retry", "rollout:write", 4096, API_BY_PRODUCT, api_rollout_move_retry),

    GET("/api/v1/backups", "token:admin", 0, "", api_backup_list),
    POST("/api/v1/backups", "token:admin", 4096, 0, api_backup_create),

    LIST("/api/v1/tokens", "token:admin", 0, "", api_token_list),
    POST("/api/v1/tokens", "token:admin", 8192, 0, api_token_create),
    GET("/api/v1/tokens/{token}", "token:admin", 0, "", api_token_get),
    POST("/api/v1/tokens/{token}/rotate", "token:admin", 4096, 0, api_token_rotate),
    CHANGE("DELETE", "/api/v1/tokens/{token}", "token:admin", API_NO_BODY, 0, 0, api_token_delete),

    LIST("/api/v1/certificates/expiring", "device:read", API_BY_PRODUCT, "within product", api_expiring_list),
    LIST("/api/v1/claims", "device:read", API_BY_PRODUCT, "device product", api_claim_list),
    POST("/api/v1/claims", "device:write", 4096, API_BY_PRODUCT, api_claim_create),
    GET("/api/v1/claims/{claim}", "device:read", API_BY_PRODUCT, "", api_claim_get),
    CHANGE("DELETE", "/api/v1/claims/{claim}", "device:write", API_NO_BODY, 0, API_BY_PRODUCT, api_claim_delete),

    LIST("/api/v1/certificates", "device:read", API_BY_PRODUCT, "device product expires_before in_use", api_certificate_list),
    GET("/api/v1/certificates/{serial}", "device:read", API_BY_PRODUCT, "", api_certificate_get),
    POST("/api/v1/certificates/{serial}/revoke", "device:write", 4096, API_BY_PRODUCT, api_certificate_revoke),

    LIST("/api/v1/events", "device:read", API_BY_PRODUCT, "kind device product since", api_event_list),
    GET("/api/v1/events/stream", "device:read", API_BY_PRODUCT, "kind device product after", api_stream_events),
    LIST("/api/v1/webhooks", "token:admin", 0, "", api_webhook_list),
    POST("/api/v1/webhooks", "token:admin", 16384, 0, api_webhook_create),
    GET("/api/v1/webhooks/{webhook}", "token:admin", 0, "", api_webhook_get),
    CHANGE("PATCH", "/api/v1/webhooks/{webhook}", "token:admin", API_JSON, 16384, 0, api_webhook_patch),
    CHANGE("DELETE", "/api/v1/webhooks/{webhook}", "token:admin", API_NO_BODY, 0, 0, api_webhook_delete),
    POST("/api/v1/webhooks/{webhook}/rotate", "token:admin", 4096, 0, api_webhook_rotate),
    POST("/api/v1/webhooks/{webhook}/test", "token:admin", 4096, 0, api_delivery_test),
    LIST("/api/v1/webhooks/{webhook}/deliveries", "token:admin", 0, "state", api_delivery_list),
    POST("/api/v1/webhooks/{webhook}/deliveries/{event}/retry", "token:admin", 4096, 0, api_delivery_retry),
    LIST("/api/v1/audit", "audit:read", 0, "action actor object since", api_audit_list),
    GET("/api/v1/audit/checkpoint", "audit:read", 0, "", api_audit_checkpoint),
#undef ROW
#undef DEVICE
#undef DDI
#undef EST
#undef HEALTH
#undef ADMIN
#undef STREAM
#undef GET
#undef LIST
#undef POST
#undef CHANGE
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

/* Is the name one of the words? */
static bool is_listed(const char *words, const char *name) {
    size_t len = strlen(name);
    for (const char *word = words; *word != '\0'; word += strcspn(word, " "), word += strspn(word, " "))
        if (strcspn(word, " ") == len && strncmp(word, name, len) == 0)
            return true;
    return false;
}

static bool query_add(struct api_call *call, const char *text, size_t len, const char *known, struct err *err) {
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
    char *name = decode(call->arena, text, name_len);
    char *value = equals != NULL ? decode(call->arena, equals + 1, len - name_len - 1) : arena_strdup(call->arena, "");
    if (name == NULL || value == NULL)
        return err_set(err, ERR_INVALID, "query parameter '%.*s' has a bad escape or a control character", (int)(name_len < 64 ? name_len : 64),
                       text);
    if (known != NULL && !is_listed(known, name))
        return err_set_field(err, ERR_INVALID, name, "query parameter '%s' is not known here", name);
    if (api_query(call, name) != NULL)
        return err_set_field(err, ERR_INVALID, name, "query parameter '%s' is given twice", name);
    if (call->query_count == API_MAX_PARAMS)
        return err_set(err, ERR_INVALID, "more than %d query parameters", API_MAX_PARAMS);
    call->query[call->query_count++] = (struct api_param){.name = name, .value = value};
    return true;
}

bool api_query_parse(struct api_call *call, const char *raw, const char *known, struct err *err) {
    while (raw != NULL && *raw != '\0') {
        size_t len = strcspn(raw, "&");
        if (len > 0 && !query_add(call, raw, len, known, err))
            return false;
        raw += len;
        raw += *raw == '&';
    }
    return true;
}
