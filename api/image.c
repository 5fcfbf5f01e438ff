#include "db/image.h"

#include "api/call.h"
#include "api/env.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/shapes.h"
#include "common/hex.h"

static bool reply_image(struct api_call *call, int status, const struct db_image *image, struct err *err) {
    struct api_image reply;
    api_image_from(image, &reply);
    return api_reply_json(call, status, &api_shape_image, &reply, err);
}

bool api_image_get(struct api_call *call, struct err *err) {
    struct db_image image;
    return db_image_get(call->db, api_var(call, "sha256"), &image, err) && reply_image(call, 0, &image, err);
}

static bool begin(struct api_call *call, struct err *err) {
    const char *sha256 = api_var(call, "sha256");
    if (!hex_is_digest(sha256))
        return err_set_field(err, ERR_INVALID, "sha256", "the path must end with the image's SHA-256 in 64 lower-case hex digits");
    if (call->content_length == 0)
        return err_set(err, ERR_LENGTH, "an image has at least one byte");
    if (call->content_length > (uint64_t)call->env->settings.image_bytes)
        return err_set(err, ERR_TOO_LARGE, "the image has %llu bytes, and at most %lld are taken ([limits] image_bytes)",
                       (unsigned long long)call->content_length, (long long)call->env->settings.image_bytes);
    struct db_image_upload *upload;
    if (!db_image_begin(call->env->db, sha256, (int64_t)call->content_length, &upload, err))
        return false;
    call->stream_state = upload;
    return true;
}

static bool write_piece(struct api_call *call, const void *data, size_t len, struct err *err) {
    return db_image_write(call->stream_state, data, len, err);
}

static void discard(struct api_call *call) {
    db_image_abort(call->stream_state);
    call->stream_state = NULL;
}

const struct api_stream api_image_stream = {.begin = begin, .write = write_piece, .discard = discard};

bool api_image_put(struct api_call *call, struct err *err) {
    struct db_image_upload *upload = call->stream_state;
    struct db_image image;
    bool created;
    call->stream_state = NULL;
    if (!db_image_finish_take(call->db, upload, call->now, &image, &created, err))
        return false;
    if (created && !api_audit(call, "image.upload", "image", image.sha256, NULL, err))
        return false;
    return reply_image(call, created ? 201 : 200, &image, err);
}
