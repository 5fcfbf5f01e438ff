/* The server without its wire: requests go through dispatch as server/http.c would send them, over a real store in a temporary folder. */
#ifndef PAWL_TESTS_UNIT_SERVER_FIXTURE_H
#define PAWL_TESTS_UNIT_SERVER_FIXTURE_H

#include "tests/unit/db_fixture.h"

#include "api/token.h"
#include "server/dispatch.h"
#include "server/expiry.h"
#include "server/readiness.h"
#include "server/server.h"
#include "trust/directive.h"

struct rig {
    struct store *store;
    struct server server;
    int64_t now;
    char cut[DB_DEVICE_ID_SIZE]; /* the last device that was disconnected */
    char token[128];             /* of an administrator who may everything */
};

/* A request and, after ask(), its reply. Members that are not set are the usual ones. */
struct ask {
    enum api_listener listener;
    const char *method, *path, *query, *body;
    struct api_param headers[8];
    const char *token;  /* "Authorization: Bearer …" */
    const char *device; /* the certificate's id; its key is all bytes `key` */
    uint8_t key;
    const char *administrator; /* the name of the administrator's certificate */
    const char *address;
    bool head;
    void (*between)(struct rig *rig); /* called when the head was accepted and the body is still to come */

    struct arena arena;
    struct api_call call;
    int status;
    const char *text; /* the body, NUL-terminated */
    bool written;     /* it went over the writer */
};

UNUSED static struct rig *rig_now; /* for the hooks that know only the server */

UNUSED static void rig_cut(struct server *server, const char *device_id) {
    (void)server;
    snprintf(rig_now->cut, sizeof(rig_now->cut), "%s", device_id);
}

UNUSED static void rig_wake(struct server *server) {
    (void)server;
}

UNUSED static bool rig_token_job(struct db_conn *tx, void *arg, struct err *err) {
    return db_token_insert(tx, arg, err);
}

/* Grants as "scope" or "scope@product", ended by NULL. */
UNUSED static const char *rig_token(struct rig *rig, int64_t expires_at, const char *const *scopes) {
    struct db_grant grants[16];
    struct db_token token = {.name = "test", .created_by = "system", .created_at = NOW, .expires_at = expires_at, .grants = grants, .revision = 1};
    const char *text;
    struct err err;
    for (; scopes[token.grant_count] != NULL; token.grant_count++) {
        char *scope = arena_strdup(&rig->store->arena, scopes[token.grant_count]);
        char *at = strchr(scope, '@');
        if (at != NULL)
            *at = '\0';
        grants[token.grant_count] = (struct db_grant){.scope = scope, .product = at != NULL ? at + 1 : ""};
    }
    assert_ok(api_token_make(&rig->store->arena, &token, &text, &err), err);
    assert_ok(db_write(rig->store->db, rig_token_job, &token, &err), err);
    return text;
}

UNUSED static int rig_setup(void **state) {
    static const char *const all[] = {"device:read",   "device:write", "release:read", "release:publish", "rollout:read",
                                      "rollout:write", "token:admin",  "audit:read",   "metrics:read",    NULL};
    struct rig *rig = calloc(1, sizeof(*rig));
    struct err err;
    assert_non_null(rig);
    void *store = NULL;
    store_setup(&store);
    rig->store = store;
    rig->now = NOW;
    rig_now = rig;
    struct server *server = &rig->server;
    server->db = rig->store->db;
    server->config.store.data = rig->store->folder;
    atomic_store(&server->live, &server->config);
    atomic_store(&server->certificate_grants, &server->first_grants);
    assert_ok(key_generate(KEY_ED25519, &server->timestamp_key, &err), err);
    assert_ok(key_generate(KEY_ED25519, &server->directive_key, &err), err);
    assert_ok(api_images_new(server->db, &server->images, &err), err);
    auth_throttle_init(&server->throttle, 3);
    pthread_mutex_init(&server->expiry.lock, NULL);
    atomic_store(&server->online.timestamp, server->timestamp_key);
    atomic_store(&server->online.directive, server->directive_key);
    server->env = (struct api_env){
        .db = server->db,
        .online = &server->online,
        .served = &server->served,
        .images = server->images,
        .settings = {.poll_after_s = 300, .poll_jitter = 10, .image_bytes = 1000, .firmware_grace_s = 86400, .auto_accept = true, .pending_max = 2},
        .server = server,
        .certificates = expiry_certificates,
        .ready = readiness_check,
        .metrics = metrics_write,
        .disconnect = rig_cut,
        .still_allowed = auth_still_allowed,
        .wake_streams = rig_wake,
    };
    snprintf(rig->token, sizeof(rig->token), "%s", rig_token(rig, NOW + 1000000, all));
    *state = rig;
    return 0;
}

UNUSED static int rig_teardown(void **state) {
    struct rig *rig = *state;
    api_images_free(rig->server.images);
    key_free(rig->server.timestamp_key);
    key_free(rig->server.directive_key);
    void *store = rig->store;
    store_teardown(&store);
    free(rig);
    return 0;
}

UNUSED static bool rig_run(struct db_conn *tx, void *arg, struct err *err) {
    struct api_call *call = arg;
    call->db = tx;
    call->writing = true;
    call->defer_to_writer = false;
    return dispatch_run(call, err);
}

UNUSED static void ask_fill(struct rig *rig, struct ask *ask, struct api_param *headers, size_t *count) {
    struct api_call *call = &ask->call;
    size_t used = 0;
    while (used < ARRAY_LEN(ask->headers) && ask->headers[used].name != NULL) {
        headers[used] = ask->headers[used];
        used++;
    }
    if (ask->token != NULL)
        headers[used++] = (struct api_param){"Authorization", arena_printf(&ask->arena, "Bearer %s", ask->token)};
    *call = (struct api_call){
        .env = &rig->server.env,
        .arena = &ask->arena,
        .listener = ask->listener != 0    ? ask->listener
                    : ask->device != NULL ? API_DEVICE
                                          : API_ADMIN,
        .now = rig->now,
        .request_id = "00000000000000000000000000000001",
        .client_address = ask->address != NULL ? ask->address : "192.0.2.1",
        .method = ask->method != NULL ? ask->method : "GET",
        .head = ask->head,
        .path = ask->path,
        .headers = headers,
        .body = ask->body,
        .body_len = ask->body != NULL ? strlen(ask->body) : 0,
        .db = rig->store->reader,
    };
    call->content_length = call->body_len;
    if (call->body_len > 0)
        headers[used++] = (struct api_param){"Content-Length", arena_printf(&ask->arena, "%zu", call->body_len)};
    if (ask->device != NULL) {
        snprintf(call->identity.id, sizeof(call->identity.id), "%s", ask->device);
        memset(call->identity.spki_sha256, ask->key, sizeof(call->identity.spki_sha256));
        call->identity.not_after = NOW + 86400;
    }
    if (ask->administrator != NULL) {
        struct api_identity *certificate = arena_alloc(&ask->arena, sizeof(*certificate));
        assert_non_null(certificate);
        *certificate = (struct api_identity){.not_after = NOW + 3600};
        snprintf(certificate->id, sizeof(certificate->id), "%s", ask->administrator);
        call->operator_.certificate = certificate;
    }
    *count = used;
}

/* Streams the body as http.c would: begin() is past. */
UNUSED static bool ask_stream(struct api_call *call, struct err *err) {
    if (call->route->stream == NULL)
        return true;
    if (call->route->stream->write(call, call->body, call->body_len, err))
        return true;
    call->route->stream->discard(call);
    return false;
}

/* Sends the request; the reply is in *ask until ask_done(). */
UNUSED static int ask(struct rig *rig, struct ask *ask) {
    struct api_param *headers;
    struct err err = {0};
    arena_init(&ask->arena, 64 << 20);
    headers = arena_array(&ask->arena, 16, sizeof(*headers));
    assert_non_null(headers);
    size_t count;
    ask_fill(rig, ask, headers, &count);
    ask->call.header_count = count;
    struct api_call *call = &ask->call;
    bool done = dispatch_begin(call, ask->query, &err);
    if (done && ask->between != NULL)
        ask->between(rig);
    done = done && ask_stream(call, &err);
    if (done) {
        ask->written = dispatch_needs_writer(call);
        if (!ask->written) {
            done = dispatch_run(call, &err);
            ask->written = done && call->defer_to_writer;
        }
        if (ask->written)
            done = db_write(rig->store->db, rig_run, call, &err);
    }
    if (!done)
        dispatch_refuse(call, &err);
    dispatch_finish(call, 0, 1);
    ask->status = call->reply.status != 0 ? call->reply.status : call->reply.body_len > 0 || call->reply.blob.release != NULL ? 200 : 204;
    ask->text = arena_strndup(&ask->arena, call->reply.body != NULL ? call->reply.body : "", call->reply.body_len);
    return ask->status;
}

UNUSED static void ask_done(struct ask *ask) {
    if (ask->call.reply.blob.release != NULL)
        ask->call.reply.blob.release(ask->call.reply.blob.context);
    arena_clear(&ask->arena);
}

UNUSED static const char *ask_header(const struct ask *ask, const char *name) {
    for (size_t i = 0; i < ask->call.reply.header_count; i++)
        if (strcmp(ask->call.reply.headers[i].name, name) == 0)
            return ask->call.reply.headers[i].value;
    return "";
}

/* Asks, and fails unless the status is this and the body holds the text (NULL: any). */
UNUSED static void expect(struct rig *rig, struct ask given, int status, const char *part) {
    int got = ask(rig, &given);
    if (got != status || (part != NULL && strstr(given.text, part) == NULL))
        fail_msg("%s %s: %d %s\nwhere %d %s is expected", given.call.method, given.path, got, given.text, status, part != NULL ? part : "");
    ask_done(&given);
}

UNUSED static bool rig_nothing(struct db_conn *tx, void *arg, struct err *err) {
    (void)tx;
    (void)arg;
    (void)err;
    return true;
}

/* Waits for what was queued before, then counts. */
UNUSED static size_t count_events(struct rig *rig, const char *kind) {
    const struct db_event_filter filter = {.kind = kind};
    struct db_events events;
    struct err err;
    assert_ok(db_write(rig->store->db, rig_nothing, NULL, &err), err);
    assert_ok(db_event_list(rig->store->reader, &filter, PAGE(100), &rig->store->arena, &events, &err), err);
    return events.count;
}

#endif
