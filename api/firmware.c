#include <string.h>

#include "api/call.h"
#include "api/download.h"
#include "api/env.h"
#include "api/handlers.h"
#include "common/hex.h"
#include "common/text.h"
#include "db/catalog.h"
#include "db/image.h"

/* A request path taken apart: the release's path in its plain form. */
struct target {
    const char *path;
    const char *sha256; /* out of the hashed form; NULL: the plain form was used */
    bool signature;     /* ".sig" stood behind it */
};

/* "<product>/<version>/<sha256>.<file>" is the same as "<product>/<version>/<file>"; no file name begins like that itself. */
static bool take_apart(struct api_call *call, const char *raw, struct target *ret_target, struct err *err) {
    struct target target = {0};
    char *path = arena_strdup(call->arena, raw);
    if (path == NULL)
        return err_no_memory(err);
    target.signature = text_ends(path, ".sig");
    if (target.signature)
        path[strlen(path) - 4] = '\0';
    char *slash = strrchr(path, '/');
    char *file = slash != NULL ? slash + 1 : path;
    if (strlen(file) > 65 && file[64] == '.') {
        char *sha256 = arena_strndup(call->arena, file, 64);
        if (sha256 == NULL)
            return err_no_memory(err);
        if (hex_is_digest(sha256)) {
            target.sha256 = sha256;
            memmove(file, file + 65, strlen(file + 65) + 1);
        }
    }
    target.path = path;
    *ret_target = target;
    return true;
}

static bool reply_signature(struct api_call *call, const struct db_release *release, struct err *err) {
    const void *data;
    size_t len;
    if (!db_image_signature_get(call->db, release->sha256, call->arena, &data, &len, err))
        return err->code == ERR_NOT_FOUND ? err_set(err, ERR_NOT_FOUND, "%s has no detached signature", release->path) : false;
    call->reply.content_type = "application/octet-stream";
    call->reply.body = data;
    call->reply.body_len = len;
    return true;
}

bool api_firmware_get(struct api_call *call, struct err *err) {
    struct target target = {0};
    if (!take_apart(call, api_var(call, "path"), &target, err))
        return false;
    const struct db_catalog *catalog = db_catalog_get(call->env->db);
    const struct db_release *release = db_catalog_path(catalog, target.path);
    bool done;
    if (release == NULL || (target.sha256 != NULL && strcmp(target.sha256, release->sha256) != 0))
        done = err_set(err, ERR_NOT_FOUND, "no release has the path '%.200s'", api_var(call, "path"));
    else if (!api_download_check(call, catalog, release, err))
        done = false;
    else
        done = target.signature ? reply_signature(call, release, err) : api_download_image(call, release, err);
    db_catalog_put(catalog);
    return done;
}
