/* What a DDI client reads: the update, the image, the order to stop. */
#include <string.h>

#include "api/ddi.h"
#include "api/download.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "common/text.h"
#include "db/ddi.h"
#include "db/offer.h"

struct hashes {
    const char *sha1, *md5, *sha256;
};

struct links {
    const struct api_ddi_link *download, *md5sum;
};

struct artifact {
    const char *filename;
    int64_t size;
    const struct hashes *hashes;
    const struct links *links;
};

struct chunk {
    const char *part, *version, *name;
    struct json_list artifacts;
};

struct update {
    const char *mode;
    struct json_list chunks;
};

struct action {
    const char *id;
    const struct update *deployment;
};

static const struct json_field hashes_fields[] = {
    {.name = "sha1", .type = JSON_TEXT, .offset = offsetof(struct hashes, sha1)},
    {.name = "md5", .type = JSON_TEXT, .offset = offsetof(struct hashes, md5)},
    {.name = "sha256", .type = JSON_TEXT, .offset = offsetof(struct hashes, sha256)},
};
static const struct json_shape hashes_shape = JSON_SHAPE(struct hashes, hashes_fields);

/* Clients differ in which of the two they read: both are the same URL. */
static const struct json_field links_fields[] = {
    {.name = "download", .type = JSON_STRUCT, .offset = offsetof(struct links, download), .shape = &api_ddi_link_shape},
    {.name = "download-http", .type = JSON_STRUCT, .offset = offsetof(struct links, download), .shape = &api_ddi_link_shape},
    {.name = "md5sum", .type = JSON_STRUCT, .offset = offsetof(struct links, md5sum), .shape = &api_ddi_link_shape},
    {.name = "md5sum-http", .type = JSON_STRUCT, .offset = offsetof(struct links, md5sum), .shape = &api_ddi_link_shape},
};
static const struct json_shape links_shape = JSON_SHAPE(struct links, links_fields);

static const struct json_field artifact_fields[] = {
    {.name = "filename", .type = JSON_TEXT, .offset = offsetof(struct artifact, filename)},
    {.name = "size", .type = JSON_INT, .offset = offsetof(struct artifact, size)},
    {.name = "hashes", .type = JSON_STRUCT, .offset = offsetof(struct artifact, hashes), .shape = &hashes_shape},
    {.name = "_links", .type = JSON_STRUCT, .offset = offsetof(struct artifact, links), .shape = &links_shape},
};
static const struct json_shape artifact_shape = JSON_SHAPE(struct artifact, artifact_fields);

static const struct json_field chunk_fields[] = {
    {.name = "part", .type = JSON_TEXT, .offset = offsetof(struct chunk, part)},
    {.name = "version", .type = JSON_TEXT, .offset = offsetof(struct chunk, version)},
    {.name = "name", .type = JSON_TEXT, .offset = offsetof(struct chunk, name)},
    {.name = "artifacts", .type = JSON_STRUCTS, .offset = offsetof(struct chunk, artifacts), .shape = &artifact_shape},
};
static const struct json_shape chunk_shape = JSON_SHAPE(struct chunk, chunk_fields);

static const struct json_field update_fields[] = {
    {.name = "download", .type = JSON_TEXT, .offset = offsetof(struct update, mode)},
    {.name = "update", .type = JSON_TEXT, .offset = offsetof(struct update, mode)},
    {.name = "chunks", .type = JSON_STRUCTS, .offset = offsetof(struct update, chunks), .shape = &chunk_shape},
};
static const struct json_shape update_shape = JSON_SHAPE(struct update, update_fields);

static const struct json_field action_fields[] = {
    {.name = "id", .type = JSON_TEXT, .offset = offsetof(struct action, id)},
    {.name = "deployment", .type = JSON_STRUCT, .offset = offsetof(struct action, deployment), .shape = &update_shape},
};
static const struct json_shape action_shape = JSON_SHAPE(struct action, action_fields);

/* One artifact of a release, as clients see it; the release's number is the software module's. */
static bool fill_artifact(struct api_call *call, const struct api_ddi *ddi, const struct db_release *release, struct artifact *ret_artifact,
                          struct err *err) {
    const char *file = strrchr(release->path, '/') + 1;
    struct hashes *hashes = arena_alloc(call->arena, sizeof(*hashes));
    struct links *links = arena_alloc(call->arena, sizeof(*links));
    if (hashes == NULL || links == NULL)
        return err_no_memory(err);
    *hashes = (struct hashes){.sha1 = release->sha1, .md5 = release->md5, .sha256 = release->sha256};
    links->download = api_ddi_link(call, ddi->base, "softwaremodules/%lld/artifacts/%s", (long long)release->id, file);
    links->md5sum = api_ddi_link(call, ddi->base, "softwaremodules/%lld/artifacts/%s.MD5SUM", (long long)release->id, file);
    *ret_artifact = (struct artifact){.filename = file, .size = release->length, .hashes = hashes, .links = links};
    return (links->download != NULL && links->md5sum != NULL) || err_no_memory(err);
}

static bool reply_action(struct api_call *call, const struct api_ddi *ddi, int64_t id, const struct db_release *release, bool optional,
                         struct err *err) {
    struct artifact artifact;
    struct chunk chunk = {
        .part = call->env->settings.ddi.part,
        .version = release->version,
        .name = release->product,
        .artifacts = {.count = 1, .items = &artifact},
    };
    /* The device's user may postpone what is optional; clients without a user go ahead. */
    const struct update update = {.mode = optional ? "attempt" : "forced", .chunks = {.count = 1, .items = &chunk}};
    const struct action action = {.id = arena_printf(call->arena, "%lld", (long long)id), .deployment = &update};
    if (action.id == NULL)
        return err_no_memory(err);
    return fill_artifact(call, ddi, release, &artifact, err) && api_ddi_reply(call, &action_shape, &action, err);
}

static bool no_action(int64_t id, struct err *err) {
    return err_set(err, ERR_NOT_FOUND, "action '%lld' does not exist", (long long)id);
}

/* On the writer: the first reading is kept, because a cancel must ask the client from then on. */
static bool note_fetched(struct api_call *call, int64_t id, struct err *err) {
    struct db_deployment deployment;
    if (!db_deployment_get(call->db, id, call->arena, &deployment, err))
        return false;
    if (!fleet_deployment_is_open(deployment.state) || deployment.state == FLEET_CANCELLING)
        return no_action(id, err);
    return db_ddi_action_fetched(call->db, call->identity.id, id, call->now, err);
}

bool api_ddi_deployment_get(struct api_call *call, struct err *err) {
    struct api_ddi ddi;
    int64_t id;
    if (!api_ddi_enter(call, &ddi, err) || !api_ddi_action(call, &id, err))
        return false;
    if (!api_ddi_is_open(call, id))
        return no_action(id, err);
    if (!call->device.ddi_fetched && !call->writing) {
        call->defer_to_writer = true;
        return true;
    }
    if (!call->device.ddi_fetched && !note_fetched(call, id, err))
        return false;
    const struct db_catalog *catalog = db_catalog_get(call->env->db);
    const struct db_release *release = db_catalog_release(catalog, call->device.open_release);
    bool done = release != NULL ? reply_action(call, &ddi, id, release, db_offer_is_optional(catalog, call->device.open_rollout), err)
                                : no_action(id, err);
    db_catalog_put(catalog);
    return done;
}

/* The last thing that was installed, in the same shape. */
bool api_ddi_installed_get(struct api_call *call, struct err *err) {
    struct api_ddi ddi;
    struct db_deployment deployment;
    struct db_release release;
    int64_t id;
    if (!api_ddi_enter(call, &ddi, err) || !api_ddi_action(call, &id, err))
        return false;
    if (!db_deployment_get(call->db, id, call->arena, &deployment, err) || strcmp(deployment.device, call->identity.id) != 0 ||
        deployment.state != FLEET_CONFIRMED)
        return no_action(id, err);
    return db_release_get(call->db, deployment.release, call->arena, &release, err) && reply_action(call, &ddi, id, &release, false, err);
}

/* ---- artifacts ---- */

/* What a device has nothing to do with does not exist for it. */
static bool find_module(struct api_call *call, const struct db_catalog *catalog, const struct db_release **ret_release, struct err *err) {
    struct err why;
    int64_t id;
    const struct db_release *release = text_to_int(api_var(call, "module"), 1, INT64_MAX, &id) ? db_catalog_release(catalog, id) : NULL;
    if (release == NULL || !api_download_check(call, catalog, release, &why))
        return err_set(err, ERR_NOT_FOUND, "there is no software module '%.32s' for this device", api_var(call, "module"));
    *ret_release = release;
    return true;
}

bool api_ddi_artifact_list(struct api_call *call, struct err *err) {
    struct api_ddi ddi;
    struct artifact artifact;
    const struct db_release *release;
    struct buf text CLEANUP(buf_free) = BUF_INIT(API_REPLY_MAX);
    if (!api_ddi_enter(call, &ddi, err))
        return false;
    const struct db_catalog *catalog = db_catalog_get(call->env->db);
    bool done = find_module(call, catalog, &release, err) && fill_artifact(call, &ddi, release, &artifact, err);
    if (done) {
        buf_byte(&text, '[');
        json_write(&text, &artifact_shape, &artifact);
        buf_byte(&text, ']');
        done = api_reply_text(call, "application/json", &text, err);
    }
    db_catalog_put(catalog);
    return done;
}

static bool reply_md5sum(struct api_call *call, const struct db_release *release, const char *file, struct err *err) {
    struct buf text CLEANUP(buf_free) = BUF_INIT(1024);
    buf_printf(&text, "%s  %s\n", release->md5, file);
    return api_reply_text(call, "text/plain", &text, err);
}

bool api_ddi_artifact_get(struct api_call *call, struct err *err) {
    static const char suffix[] = ".MD5SUM";
    const char *asked = api_var(call, "file");
    const struct db_release *release;
    struct api_ddi ddi;
    if (!api_ddi_enter(call, &ddi, err))
        return false;
    const struct db_catalog *catalog = db_catalog_get(call->env->db);
    bool done = find_module(call, catalog, &release, err);
    if (done) {
        const char *file = strrchr(release->path, '/') + 1;
        size_t len = strlen(file);
        if (strcmp(asked, file) == 0)
            done = api_reply_header(call, "Content-Disposition", "attachment", err) && api_download_image(call, release, err);
        else if (strncmp(asked, file, len) == 0 && strcmp(asked + len, suffix) == 0)
            done = reply_md5sum(call, release, file, err);
        else
            done = err_set(err, ERR_NOT_FOUND, "software module %lld has no artifact '%.200s'", (long long)release->id, asked);
    }
    db_catalog_put(catalog);
    return done;
}

/* ---- the order to stop ---- */

struct stop {
    const char *id;
};

struct cancel {
    const char *id;
    const struct stop *stop;
};

static const struct json_field stop_fields[] = {
    {.name = "stopId", .type = JSON_TEXT, .offset = offsetof(struct stop, id)},
};
static const struct json_shape stop_shape = JSON_SHAPE(struct stop, stop_fields);

static const struct json_field cancel_fields[] = {
    {.name = "id", .type = JSON_TEXT, .offset = offsetof(struct cancel, id)},
    {.name = "cancelAction", .type = JSON_STRUCT, .offset = offsetof(struct cancel, stop), .shape = &stop_shape},
};
static const struct json_shape cancel_shape = JSON_SHAPE(struct cancel, cancel_fields);

bool api_ddi_cancel_get(struct api_call *call, struct err *err) {
    struct api_ddi ddi;
    int64_t id;
    if (!api_ddi_enter(call, &ddi, err) || !api_ddi_action(call, &id, err))
        return false;
    if (call->device.open_deployment != id || call->device.open_state != FLEET_CANCELLING)
        return err_set(err, ERR_NOT_FOUND, "action '%lld' is not being cancelled", (long long)id);
    const struct stop stop = {.id = arena_printf(call->arena, "%lld", (long long)id)};
    const struct cancel cancel = {.id = stop.id, .stop = &stop};
    if (stop.id == NULL)
        return err_no_memory(err);
    return api_ddi_reply(call, &cancel_shape, &cancel, err);
}
