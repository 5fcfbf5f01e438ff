#include "agent/state.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/text.h"

/* The shapes are open: a device that falls back to its old slot has an older agent there, which must be able to go on with what a newer one wrote. A
 * change that an older one must not overlook is another format. */
enum { FORMAT = 1, PATH_MAX_BYTES = 4096 };

static const struct json_field release_fields[] = {
    JSON_FIELD(struct agent_release, path, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct agent_release, product, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct agent_release, version, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct agent_release, sha256, JSON_TEXT, JSON_REQUIRED, .min = 64, .max = 64),
    JSON_FIELD(struct agent_release, sequence, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct agent_release, security_version, JSON_INT, JSON_REQUIRED),
};
static const struct json_shape release_shape = JSON_SHAPE_OPEN(struct agent_release, release_fields);

static const struct json_field floor_fields[] = {
    JSON_FIELD(struct agent_floor, product, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct agent_floor, sequence, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct agent_floor, security_version, JSON_INT, JSON_REQUIRED),
};
static const struct json_shape floor_shape = JSON_SHAPE_OPEN(struct agent_floor, floor_fields);

static const struct json_field attempt_fields[] = {
    JSON_FIELD(struct agent_attempt, path, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct agent_attempt, count, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct agent_attempt, error, JSON_TEXT, JSON_REQUIRED),
};
static const struct json_shape attempt_shape = JSON_SHAPE_OPEN(struct agent_attempt, attempt_fields);

static const struct json_field partial_fields[] = {
    JSON_FIELD(struct agent_partial, sha256, JSON_TEXT, JSON_REQUIRED, .min = 64, .max = 64),
    JSON_FIELD(struct agent_partial, etag, JSON_TEXT, 0),
};
static const struct json_shape partial_shape = JSON_SHAPE_OPEN(struct agent_partial, partial_fields);

static const struct json_field trial_fields[] = {
    JSON_FIELD(struct agent_trial, phase, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct agent_trial, slot, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct agent_trial, old_slot, JSON_TEXT, 0),
    JSON_FIELD(struct agent_trial, release, JSON_STRUCT, JSON_REQUIRED, .shape = &release_shape),
    JSON_FIELD(struct agent_trial, deployment, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct agent_trial, boot_id, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct agent_trial, reboots, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct agent_trial, testing_ms, JSON_INT, JSON_REQUIRED),
};
static const struct json_shape trial_shape = JSON_SHAPE_OPEN(struct agent_trial, trial_fields);

static const struct json_field queued_fields[] = {
    JSON_FIELD(struct agent_queued, deployment, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct agent_queued, report_seq, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct agent_queued, state, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct agent_queued, progress, JSON_INT, JSON_REQUIRED, .min = -1, .max = 100),
    JSON_FIELD(struct agent_queued, error, JSON_TEXT, 0),
    JSON_FIELD(struct agent_queued, detail, JSON_TEXT, 0),
    JSON_FIELD(struct agent_queued, installed, JSON_TEXT, 0),
    JSON_FIELD(struct agent_queued, sequence, JSON_INT, JSON_REQUIRED),
};
static const struct json_shape queued_shape = JSON_SHAPE_OPEN(struct agent_queued, queued_fields);

static const struct json_field state_fields[] = {
    JSON_FIELD(struct agent_state, format, JSON_INT, JSON_REQUIRED, .min = FORMAT, .max = FORMAT),
    JSON_FIELD(struct agent_state, installed, JSON_STRUCT, 0, .shape = &release_shape),
    JSON_FIELD(struct agent_state, floors, JSON_STRUCTS, JSON_REQUIRED, .max = AGENT_FLOORS_MAX, .shape = &floor_shape),
    JSON_FIELD(struct agent_state, attempts, JSON_STRUCTS, JSON_REQUIRED, .max = AGENT_ATTEMPTS_MAX, .shape = &attempt_shape),
    JSON_FIELD(struct agent_state, reports, JSON_STRUCTS, JSON_REQUIRED, .max = AGENT_REPORTS_MAX, .shape = &queued_shape),
    JSON_FIELD(struct agent_state, partial, JSON_STRUCT, 0, .shape = &partial_shape),
    JSON_FIELD(struct agent_state, trial, JSON_STRUCT, 0, .shape = &trial_shape),
    JSON_FIELD(struct agent_state, deployment, JSON_TEXT, 0),
    JSON_FIELD(struct agent_state, report_seq, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct agent_state, reported, JSON_TEXT, 0),
    JSON_FIELD(struct agent_state, directive_issued_at, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct agent_state, directive_keys, JSON_TEXT, 0),
    JSON_FIELD(struct agent_state, root_version, JSON_INT, 0),
    JSON_FIELD(struct agent_state, repaired_at, JSON_INT, 0),
};
static const struct json_shape state_shape = JSON_SHAPE_OPEN(struct agent_state, state_fields);

static const char *const phases[] = {"switching", "rebooting", "testing", "falling-back"};

static bool folder_file(const char *folder, const char *name, struct buf *ret_path, struct err *err) {
    buf_printf(ret_path, "%s/%s", folder, name);
    return buf_ok(ret_path, "path of the state", err);
}

bool agent_state_lock(const char *folder, int *ret_fd, struct err *err) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX_BYTES);
    if (!folder_file(folder, "lock", &path, err) || !file_make_dirs(folder, 0700, err))
        return false;
    if (file_lock(path.data, ret_fd, err))
        return true;
    return err->code == ERR_BUSY ? err_set(err, ERR_BUSY, "%s: another pawl-agent works here", folder) : false;
}

bool agent_state_exists(const char *folder) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX_BYTES);
    struct err ignored;
    struct stat info;
    /* Whatever is not plainly absent is there. */
    return !folder_file(folder, "state", &path, &ignored) || lstat(path.data, &info) == 0 || errno != ENOENT;
}

/* The file is the JSON, a line feed, its SHA-256 in hex, a line feed. */
static bool serialise(const struct agent_state *state, struct buf *out, struct err *err) {
    char digest[SHA256_HEX_SIZE];
    agent_state_write(state, out);
    if (!buf_ok(out, "the agent's state", err) || !hash_sha256_hex(out->data, out->len, digest, err))
        return false;
    buf_printf(out, "\n%s\n", digest);
    return buf_ok(out, "the agent's state", err);
}

bool agent_state_create(const char *folder, struct err *err) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX_BYTES);
    CLEANUP(buf_free) struct buf text = BUF_INIT(AGENT_STATE_MAX);
    const struct agent_state state = {.format = FORMAT};
    return folder_file(folder, "state", &path, err) && serialise(&state, &text, err) && file_write_new(path.data, text.data, text.len, 0600, err);
}

static bool check_trial(const struct agent_trial *trial, const char *path, struct err *err) {
    for (size_t i = 0; i < ARRAY_LEN(phases); i++)
        if (text_equal(trial->phase, phases[i]))
            return true;
    return err_set(err, ERR_IO, "%s: unknown phase '%s'", path, trial->phase);
}

static bool parse(struct arena *arena, const struct buf *text, const char *path, struct agent_state *ret_state, struct err *err) {
    enum { TAIL = SHA256_HEX_SIZE + 1 }; /* two line feeds around 64 digits */
    static const char advice[] = "the agent does not guess a floor; restore the file, or provision the device anew";
    char digest[SHA256_HEX_SIZE];
    if (text->len <= TAIL || text->data[text->len - 1] != '\n' || text->data[text->len - TAIL] != '\n')
        return err_set(err, ERR_IO, "%s is damaged (cut short): %s", path, advice);
    size_t len = text->len - TAIL;
    if (!hash_sha256_hex(text->data, len, digest, err))
        return false;
    if (memcmp(digest, text->data + len + 1, SHA256_HEX_SIZE - 1) != 0)
        return err_set(err, ERR_IO, "%s is damaged (its digest does not match): %s", path, advice);
    if (!json_read(arena, text->data, len, &state_shape, ret_state, NULL, err)) {
        err->code = err->code == ERR_NO_MEMORY ? ERR_NO_MEMORY : ERR_IO;
        return err_prefix(err, "%s is not a state of this agent", path);
    }
    return ret_state->trial == NULL || check_trial(ret_state->trial, path, err);
}

bool agent_state_load(struct arena *arena, const char *folder, struct agent_state *ret_state, struct err *err) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX_BYTES);
    CLEANUP(buf_free) struct buf text = BUF_INIT(AGENT_STATE_MAX);
    struct agent_state state;
    if (!folder_file(folder, "state", &path, err) || !file_read(path.data, &text, err) || !parse(arena, &text, path.data, &state, err))
        return false;
    state.folder = folder;
    state.arena = arena;
    *ret_state = state;
    return true;
}

/* The last line of defence: what replaces the file can be read again, and no floor falls. */
static bool may_replace(const struct agent_state *state, const struct buf *text, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, 8 * AGENT_STATE_MAX);
    struct agent_state old, new;
    if (!agent_state_load(&arena, state->folder, &old, err))
        return false;
    if (!parse(&arena, text, "the new state", &new, err)) {
        err->code = ERR_INTERNAL;
        return false;
    }
    const struct agent_floor *floors = old.floors.items;
    for (size_t i = 0; i < old.floors.count; i++) {
        struct agent_floor now = agent_state_floor(&new, floors[i].product);
        if (now.sequence < floors[i].sequence || now.security_version < floors[i].security_version)
            return err_set(err, ERR_INTERNAL, "the floor of product '%s' would fall", floors[i].product);
    }
    return new.root_version >= old.root_version || err_set(err, ERR_INTERNAL, "the version of the trusted root would fall");
}

bool agent_state_save(const struct agent_state *state, struct err *err) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX_BYTES);
    CLEANUP(buf_free) struct buf text = BUF_INIT(AGENT_STATE_MAX);
    return serialise(state, &text, err) && may_replace(state, &text, err) && folder_file(state->folder, "state", &path, err) &&
           file_write_atomic(path.data, text.data, text.len, 0600, err);
}

static struct agent_floor *find_floor(const struct agent_state *state, const char *product) {
    struct agent_floor *floors = state->floors.items;
    for (size_t i = 0; i < state->floors.count; i++)
        if (text_equal(floors[i].product, product))
            return &floors[i];
    return NULL;
}

struct agent_floor agent_state_floor(const struct agent_state *state, const char *product) {
    const struct agent_floor *found = find_floor(state, product);
    return found != NULL ? *found : (struct agent_floor){.product = product};
}

void *agent_state_grow(struct agent_state *state, struct json_list *list, size_t item_size) {
    char *items = arena_array(state->arena, list->count + 1, item_size);
    if (items == NULL)
        return NULL;
    if (list->count > 0)
        memcpy(items, list->items, list->count * item_size);
    list->items = items;
    return items + list->count++ * item_size;
}

bool agent_state_raise_floor(struct agent_state *state, const char *product, int64_t sequence, int64_t security_version, struct err *err) {
    struct agent_floor *floor = find_floor(state, product);
    if (floor == NULL) {
        if (state->floors.count >= AGENT_FLOORS_MAX)
            return err_set(err, ERR_TOO_LARGE, "this device has had %d products", AGENT_FLOORS_MAX);
        const char *name = arena_strdup(state->arena, product);
        if (name == NULL || (floor = agent_state_grow(state, &state->floors, sizeof(*floor))) == NULL)
            return err_no_memory(err);
        *floor = (struct agent_floor){.product = name};
    }
    if (sequence > floor->sequence)
        floor->sequence = sequence;
    if (security_version > floor->security_version)
        floor->security_version = security_version;
    return true;
}

static struct agent_attempt *find_attempt(const struct agent_state *state, const char *path) {
    struct agent_attempt *attempts = state->attempts.items;
    for (size_t i = 0; i < state->attempts.count; i++)
        if (text_equal(attempts[i].path, path))
            return &attempts[i];
    return NULL;
}

int64_t agent_state_attempts(const struct agent_state *state, const char *path, const char **ret_error) {
    const struct agent_attempt *found = find_attempt(state, path);
    if (found != NULL && ret_error != NULL)
        *ret_error = found->error;
    return found != NULL ? found->count : 0;
}

bool agent_state_add_attempt(struct agent_state *state, const char *path, const char *error, struct err *err) {
    struct agent_attempt *attempt = find_attempt(state, path);
    const char *reason = arena_strdup(state->arena, error);
    if (reason == NULL)
        return err_no_memory(err);
    if (attempt == NULL) {
        if (state->attempts.count >= AGENT_ATTEMPTS_MAX) {
            struct agent_attempt *items = state->attempts.items;
            memmove(items, items + 1, (--state->attempts.count) * sizeof(*items));
        }
        const char *copy = arena_strdup(state->arena, path);
        if (copy == NULL || (attempt = agent_state_grow(state, &state->attempts, sizeof(*attempt))) == NULL)
            return err_no_memory(err);
        *attempt = (struct agent_attempt){.path = copy};
    }
    attempt->count++;
    attempt->error = reason;
    return true;
}

void agent_state_forget_attempts(struct agent_state *state, const char *path) {
    struct agent_attempt *items = state->attempts.items, *found = find_attempt(state, path);
    if (found != NULL) {
        state->attempts.count--;
        memmove(found, found + 1, (state->attempts.count - (size_t)(found - items)) * sizeof(*items));
    }
}

bool agent_state_copy_release(struct agent_state *state, const struct agent_release *release, struct agent_release **ret_copy, struct err *err) {
    struct agent_release *copy = arena_memdup(state->arena, release, sizeof(*release));
    if (copy == NULL)
        return err_no_memory(err);
    copy->path = arena_strdup(state->arena, release->path);
    copy->product = arena_strdup(state->arena, release->product);
    copy->version = arena_strdup(state->arena, release->version);
    copy->sha256 = arena_strdup(state->arena, release->sha256);
    if (copy->path == NULL || copy->product == NULL || copy->version == NULL || copy->sha256 == NULL)
        return err_no_memory(err);
    *ret_copy = copy;
    return true;
}

void agent_state_write(const struct agent_state *state, struct buf *out) {
    json_write(out, &state_shape, state);
}
