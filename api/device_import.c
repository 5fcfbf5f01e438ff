#include <stdlib.h>
#include <string.h>

#include "api/call.h"
#include "api/handlers.h"
#include "api/import.h"
#include "api/reply.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/text.h"

enum { SLICE_MS = 20 }; /* of work in one turn on the writer; the commit comes on top */

/* The request's stream: its rows, and the hash of its body for the Idempotency-Key. */
struct stream {
    struct api_import *import;
    struct hash hash;
    uint64_t received;
    bool dry_run;
    bool ended; /* the rows were checked together */
};

struct result {
    bool dry_run;
    int64_t rows, created, updated, unchanged, error_count;
    struct json_list errors;
};

static const struct json_field result_fields[] = {
    {.name = "dry_run", .type = JSON_BOOL, .offset = offsetof(struct result, dry_run)},
    {.name = "rows", .type = JSON_INT, .offset = offsetof(struct result, rows)},
    {.name = "created", .type = JSON_INT, .offset = offsetof(struct result, created)},
    {.name = "updated", .type = JSON_INT, .offset = offsetof(struct result, updated)},
    {.name = "unchanged", .type = JSON_INT, .offset = offsetof(struct result, unchanged)},
    {.name = "error_count", .type = JSON_INT, .offset = offsetof(struct result, error_count)},
    {.name = "errors", .type = JSON_STRUCTS, .offset = offsetof(struct result, errors), .shape = &api_shape_problem_row},
};
static const struct json_shape result_shape = JSON_SHAPE(struct result, result_fields);

static void stream_free(struct api_call *call) {
    struct stream *stream = call->stream_state;
    call->stream_state = NULL;
    if (stream == NULL)
        return;
    api_import_free(stream->import);
    hash_free(&stream->hash);
    free(stream);
}

static bool stream_begin(struct api_call *call, struct err *err) {
    struct stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return err_no_memory(err);
    call->stream_state = stream;
    if (api_query_bool(call, "dry_run", &stream->dry_run, err) && hash_sha256_begin(&stream->hash, err) && api_import_new(call, &stream->import, err))
        return true;
    stream_free(call);
    return false;
}

static bool stream_write(struct api_call *call, const void *data, size_t len, struct err *err) {
    struct stream *stream = call->stream_state;
    stream->received += len;
    if (!hash_update(&stream->hash, data, len, err) || !api_import_feed(call, stream->import, data, len, err))
        return false;
    if (stream->received < call->content_length)
        return true;
    /* It is asked for as long as the call lives, the stream ends before. */
    uint8_t *sha256 = arena_alloc(call->arena, SHA256_SIZE);
    call->stream_sha256 = sha256;
    return sha256 != NULL ? hash_sha256_end(&stream->hash, sha256, err) : err_no_memory(err);
}

const struct api_stream api_device_import_stream = {.begin = stream_begin, .write = stream_write, .discard = stream_free};

static struct result result_of(const struct api_import *import, bool dry_run) {
    return (struct result){
        .dry_run = dry_run,
        .rows = (int64_t)import->row_count + import->error_count,
        .created = import->effects[DB_IMPORT_CREATED],
        .updated = import->effects[DB_IMPORT_UPDATED],
        .unchanged = import->effects[DB_IMPORT_UNCHANGED],
        .error_count = import->error_count,
        .errors = {.count = import->error_kept, .items = (void *)(uintptr_t)import->errors},
    };
}

static bool refuse_rows(struct api_call *call, const struct api_import *import, struct err *err) {
    struct api_problem_rows *rows = arena_alloc(call->arena, sizeof(*rows));
    struct api_problem_row *items = arena_memdup(call->arena, import->errors, import->error_kept * sizeof(import->errors[0]));
    if (rows == NULL || items == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < import->error_kept; i++) {
        items[i].field = arena_strdup(call->arena, items[i].field);
        items[i].detail = arena_strdup(call->arena, items[i].detail);
        if (items[i].field == NULL || items[i].detail == NULL)
            return err_no_memory(err);
    }
    *rows = (struct api_problem_rows){.items = items, .count = import->error_kept};
    call->reply.problem_rows = rows;
    return err_set(err, ERR_INVALID, "%lld bad rows, nothing was applied; the first is line %lld: %.200s", (long long)import->error_count,
                   (long long)items[0].line, items[0].detail);
}

/* On the worker: nothing is written yet. *ret_apply: everything is in order and meant. */
static bool look_at_all(struct api_call *call, struct stream *stream, bool *ret_apply, struct err *err) {
    struct api_import *import = stream->import;
    *ret_apply = false;
    if (stream->ended) {
        *ret_apply = true;
        return true;
    }
    if (!api_import_end(call, import, err))
        return false;
    stream->ended = true;
    if (import->error_count > 0 && !stream->dry_run)
        return refuse_rows(call, import, err);
    if (stream->dry_run) {
        const struct result result = result_of(import, true);
        return api_reply_json(call, 200, &result_shape, &result, err);
    }
    *ret_apply = true;
    return true;
}

static bool apply_row(struct api_call *call, const struct api_import_row *row, struct err *err) {
    return row->effect == DB_IMPORT_UNCHANGED ||
           (api_import_check_reach(call, &row->row, err) && db_device_import(call->db, &row->row, call->now, err));
}

/* An import of many turns is in the audit with its first: what it has committed is told of even if it never comes to its end. */
static bool tell_begun(struct api_call *call, const struct api_import *import, struct err *err) {
    const char *detail = arena_printf(call->arena, "{\"rows\":%zu}", import->row_count);
    return detail != NULL ? api_audit(call, "device.import-begin", "devices", "import", detail, err) : err_no_memory(err);
}

static bool apply_slice(struct api_call *call, struct api_import *import, struct err *err) {
    int64_t end = clock_mono_ms() + SLICE_MS;
    bool first = import->applied == 0;
    for (; import->applied < import->row_count && clock_mono_ms() < end; import->applied++) {
        const struct api_import_row *row = &import->rows[import->applied];
        if (!apply_row(call, row, err))
            return err_prefix(err, "line %lld, after %zu rows were applied", (long long)row->line, import->applied);
    }
    call->again = import->applied < import->row_count;
    return !first || !call->again || tell_begun(call, import, err);
}

static bool finish(struct api_call *call, const struct api_import *import, struct err *err) {
    const struct result result = result_of(import, false);
    const char *detail = arena_printf(call->arena, "{\"rows\":%lld,\"created\":%lld,\"updated\":%lld,\"unchanged\":%lld}", (long long)result.rows,
                                      (long long)result.created, (long long)result.updated, (long long)result.unchanged);
    if (detail == NULL)
        return err_no_memory(err);
    return api_audit(call, "device.import", "devices", "import", detail, err) && api_reply_json(call, 200, &result_shape, &result, err);
}

/* Once on the worker to judge, then turn by turn on the writer. What a turn has committed stays when the process ends between two: the same import
 * again does the rest. */
bool api_device_import(struct api_call *call, struct err *err) {
    struct stream *stream = call->stream_state;
    bool apply, ok = look_at_all(call, stream, &apply, err);
    if (ok && apply && !call->writing) {
        call->defer_to_writer = true;
        return true;
    }
    if (ok && apply)
        ok = apply_slice(call, stream->import, err);
    if (ok && call->again)
        return true;
    if (ok && apply)
        ok = finish(call, stream->import, err);
    stream_free(call);
    return ok;
}
