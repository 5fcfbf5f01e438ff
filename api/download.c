#include "api/download.h"

#include <stdio.h>
#include <string.h>

#include "api/conditional.h"
#include "api/env.h"
#include "api/notice.h"
#include "api/range.h"
#include "api/reply.h"
#include "common/clock.h"
#include "common/hex.h"
#include "db/deployment.h"
#include "db/image.h"
#include "db/offer.h"

bool api_download_check(struct api_call *call, const struct db_catalog *catalog, const struct db_release *release, struct err *err) {
    const struct fleet_release *rule = db_catalog_rule(catalog, release->id);
    struct fleet_facts facts;
    db_offer_facts(&call->device, catalog, &facts);
    enum fleet_reason reason = rule != NULL ? fleet_offer_check_download(&facts, rule) : FLEET_REASON_WITHDRAWN;
    if (reason != FLEET_REASON_OFFERED) {
        enum err_code code = fleet_reason_error(reason);
        call->reply.reason = fleet_reason_name(reason);
        return err_set(err, code == ERR_DOWNGRADE ? ERR_DOWNGRADE : ERR_NOT_ENTITLED, "%s: %s", release->path, fleet_reason_text(reason));
    }
    bool entitled = call->device.open_deployment != 0 && call->device.open_release == release->id;
    if (!entitled &&
        !db_deployment_entitles(call->db, call->identity.id, release->id, call->now - call->env->settings.firmware_grace_s, &entitled, err))
        return false;
    if (!entitled)
        return err_set(err, ERR_NOT_ENTITLED, "%s: this device has no deployment of it", release->path);
    return true;
}

/* The header fields that 200, 206, 304 and HEAD share. */
static bool reply_validators(struct api_call *call, const struct db_release *release, const char *etag, struct err *err) {
    char date[CLOCK_HTTP_SIZE];
    clock_http(release->published_at, date);
    uint8_t digest[32];
    struct buf encoded CLEANUP(buf_free) = BUF_INIT(64);
    if (!hex_decode(release->sha256, 64, digest))
        return err_set(err, ERR_INTERNAL, "release %lld has a bad hash", (long long)release->id);
    base64_encode(&encoded, digest, sizeof(digest));
    return buf_ok(&encoded, "Repr-Digest", err) && api_reply_header(call, "ETag", etag, err) && api_reply_header(call, "Last-Modified", date, err) &&
           api_reply_header(call, "Accept-Ranges", "bytes", err) && api_reply_headerf(call, err, "Repr-Digest", "sha-256=:%s:", encoded.data);
}

/* Which bytes, with which status; false with ERR_RANGE when none. HEAD ignores Range (RFC 9110 §14.2 defines it for GET alone). */
static bool decide_range(struct api_call *call, const struct api_validators *validators, uint64_t size, uint64_t *first, uint64_t *last,
                         struct err *err) {
    *first = 0;
    *last = size - 1;
    const char *range = call->head ? NULL : api_header(call, "Range");
    if (range == NULL || !api_conditional_range(api_header(call, "If-Range"), validators))
        return true;
    switch (api_range_parse(range, size, first, last)) {
    case API_RANGE_WHOLE:
        return true;
    case API_RANGE_PART:
        call->reply.status = 206;
        return api_reply_headerf(call, err, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long)*first, (unsigned long long)*last,
                                 (unsigned long long)size);
    case API_RANGE_NONE:
        break;
    }
    if (!api_reply_headerf(call, err, "Content-Range", "bytes */%llu", (unsigned long long)size))
        return false;
    return err_set(err, ERR_RANGE, "no byte of the range exists: the file has %llu", (unsigned long long)size);
}

/* The file is looked at even for HEAD: what is missing is missing for both. */
static bool reply_bytes(struct api_call *call, const struct db_release *release, uint64_t first, uint64_t last, struct err *err) {
    const void *data;
    void *hold;
    if (!api_images_map(call->env->images, release->sha256, release->length, &data, &hold, err))
        return api_notice_image_missing(call, release, err);
    call->reply.content_type = "application/octet-stream";
    if (call->head) {
        api_images_release(hold);
        call->reply.status = 200;
        call->reply.head_length = (uint64_t)release->length;
        call->reply.head_length_set = true;
        return true;
    }
    call->reply.blob = (struct api_blob){
        .data = (const char *)data + first,
        .len = (size_t)(last - first + 1),
        .release = api_images_release,
        .context = hold,
        .rollout = call->device.open_release == release->id ? call->device.open_rollout : 0,
    };
    return true;
}

bool api_download_image(struct api_call *call, const struct db_release *release, struct err *err) {
    char etag[DB_SHA256_SIZE + 2];
    snprintf(etag, sizeof(etag), "\"%s\"", release->sha256);
    const struct api_validators validators = {.etag = etag, .modified_at = release->published_at};
    const struct api_conditions conditions = {
        .if_match = api_header(call, "If-Match"),
        .if_none_match = api_header(call, "If-None-Match"),
        .if_modified_since = api_header(call, "If-Modified-Since"),
        .if_unmodified_since = api_header(call, "If-Unmodified-Since"),
    };
    if (!reply_validators(call, release, etag, err))
        return false;
    switch (api_conditional_decide(&conditions, &validators)) {
    case API_CONDITION_FAILED:
        return err_set(err, ERR_PRECONDITION, "the image's ETag is %s", etag);
    case API_CONDITION_NOT_MODIFIED:
        call->reply.status = 304;
        return true;
    case API_CONDITION_PASS:
        break;
    }
    uint64_t first, last;
    return decide_range(call, &validators, (uint64_t)release->length, &first, &last, err) && reply_bytes(call, release, first, last, err);
}
