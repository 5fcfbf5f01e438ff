#include "trust/metadata_internal.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/text.h"

enum { ARENA_MAX = 16 * 1048576 };

/* One row a role: its name in "_type", its ceiling, and who reads its own part. */
static const struct role_row {
    const char *name;
    size_t max_bytes;
    bool (*read)(struct metadata *metadata, const json_t *body, struct err *err);
} roles[METADATA_ROLE_COUNT] = {
    [METADATA_ROOT] = {"root", METADATA_ROOT_MAX, metadata_read_root},
    [METADATA_TIMESTAMP] = {"timestamp", METADATA_TIMESTAMP_MAX, metadata_read_files},
    [METADATA_SNAPSHOT] = {"snapshot", METADATA_SNAPSHOT_MAX, metadata_read_files},
    [METADATA_TARGETS] = {"targets", METADATA_TARGETS_MAX, metadata_read_targets},
};

const char *metadata_role_name(enum metadata_role role) {
    return role > METADATA_NONE && role < METADATA_ROLE_COUNT ? roles[role].name : "none";
}

size_t metadata_role_max(enum metadata_role role) {
    return role > METADATA_NONE && role < METADATA_ROLE_COUNT ? roles[role].max_bytes : 0;
}

bool metadata_read_number(const struct metadata *metadata, const json_t *object, const char *member, int64_t min, int64_t max, int64_t *ret_value,
                          struct err *err) {
    const json_t *value = json_object_get(object, member);
    if (!json_is_integer(value))
        return err_set(err, ERR_FORMAT, "%s: '%s' is missing or no integer", metadata->name, member);
    if (json_integer_value(value) < min || json_integer_value(value) > max) {
        return err_set(err, ERR_FORMAT, "%s: '%s' is %lld; %lld to %lld is allowed", metadata->name, member, (long long)json_integer_value(value),
                       (long long)min, (long long)max);
    }
    *ret_value = json_integer_value(value);
    return true;
}

bool metadata_read_sha256(const struct metadata *metadata, const json_t *object, const char **ret_sha256, struct err *err) {
    const json_t *hashes = json_object_get(object, "hashes");
    const char *sha256 = json_string_value(json_object_get(hashes, "sha256"));
    if (hashes != NULL && (sha256 == NULL || !hex_is_digest(sha256)))
        return err_set(err, ERR_FORMAT, "%s: 'hashes' without a sha256 of 64 lower-case hex digits", metadata->name);
    *ret_sha256 = sha256;
    return true;
}

/* "1.x" or "1.x.y": this is a client of TUF 1. */
static bool spec_version_is_fine(const char *text) {
    size_t len = strlen(text);
    size_t digits = 0;
    if (len < 3 || len > 16 || !text_starts(text, "1."))
        return false;
    for (size_t i = 2; i < len; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (!digit && (text[i] != '.' || digits == 0))
            return false;
        digits = digit ? digits + 1 : 0;
    }
    return digits > 0;
}

static bool read_head(struct metadata *metadata, const json_t *body, struct err *err) {
    const char *spec_version = json_string_value(json_object_get(body, "spec_version"));
    const char *expires = json_string_value(json_object_get(body, "expires"));
    if (!text_equal(metadata->envelope.type, roles[metadata->role].name))
        return err_set(err, ERR_FORMAT, "%s: '_type' is not '%s'", metadata->name, roles[metadata->role].name);
    if (spec_version == NULL || !spec_version_is_fine(spec_version))
        return err_set(err, ERR_FORMAT, "%s: 'spec_version' is not 1.x", metadata->name);
    if (expires == NULL || !clock_parse_rfc3339(expires, &metadata->expires_at))
        return err_set(err, ERR_FORMAT, "%s: 'expires' is not a time like 2026-11-22T08:00:00Z", metadata->name);
    return metadata_read_number(metadata, body, "version", 1, JSON_INT_MAX, &metadata->version, err);
}

static bool parse(struct metadata *metadata, const char *name, const void *data, size_t len, struct err *err) {
    const struct role_row *row = &roles[metadata->role];
    metadata->name = name != NULL ? arena_strdup(&metadata->arena, name) : row->name;
    metadata->bytes = arena_memdup(&metadata->arena, data, len);
    metadata->len = len;
    if (metadata->name == NULL || metadata->bytes == NULL)
        return err_no_memory(err);
    if (!envelope_parse(&metadata->arena, data, len, row->max_bytes, metadata->name, &metadata->envelope, err) ||
        !hash_sha256_hex(data, len, metadata->sha256, err))
        return false;
    const json_t *body = metadata->envelope.signed_;
    return read_head(metadata, body, err) && row->read(metadata, body, err);
}

bool metadata_parse(enum metadata_role role, const char *name, const void *data, size_t len, struct metadata **ret_metadata, struct err *err) {
    if (role <= METADATA_NONE || role >= METADATA_ROLE_COUNT || (name != NULL && role != METADATA_TARGETS))
        return err_set(err, ERR_INTERNAL, "no such metadata role");
    if (len > roles[role].max_bytes) {
        return err_set(err, ERR_LENGTH, "%s: %zu bytes, more than the allowed %zu", name != NULL ? name : roles[role].name, len,
                       roles[role].max_bytes);
    }
    CLEANUP(metadata_cleanup) struct metadata *metadata = calloc(1, sizeof *metadata);
    if (metadata == NULL)
        return err_no_memory(err);
    arena_init(&metadata->arena, ARENA_MAX);
    metadata->role = role;
    if (!parse(metadata, name, data, len, err))
        return false;
    *ret_metadata = metadata;
    metadata = NULL;
    return true;
}

void metadata_free(struct metadata *metadata) {
    if (metadata == NULL)
        return;
    for (size_t i = 0; i < metadata->key_count; i++)
        key_free(metadata->keys[i].key);
    envelope_free(&metadata->envelope);
    arena_clear(&metadata->arena);
    free(metadata);
}

void metadata_cleanup(struct metadata **metadata) {
    metadata_free(*metadata);
    *metadata = NULL;
}

enum verdict metadata_verify(const struct metadata *metadata, const struct signers *signers, const char *role, struct err *err) {
    return envelope_verify(&metadata->envelope, signers, metadata->name, role, err);
}

bool metadata_check_expiry(const struct metadata *metadata, int64_t now, struct err *err) {
    if (now < metadata->expires_at)
        return true;
    char expired[CLOCK_RFC3339_SIZE], present[CLOCK_RFC3339_SIZE];
    clock_rfc3339(metadata->expires_at, expired);
    clock_rfc3339(now, present);
    return err_set(err, ERR_EXPIRED, "%s version %lld expired at %s (it is %s)", metadata->name, (long long)metadata->version, expired, present);
}

const struct metadata_file *metadata_file_find(const struct metadata *metadata, const char *name) {
    for (size_t i = 0; i < metadata->file_count; i++)
        if (strcmp(metadata->files[i].name, name) == 0)
            return &metadata->files[i];
    return NULL;
}

static int compare_path(const void *path, const void *target) {
    return strcmp(path, ((const struct metadata_target *)target)->path);
}

const struct metadata_target *metadata_target_find(const struct metadata *metadata, const char *path) {
    return metadata->target_count == 0 ? NULL : bsearch(path, metadata->targets, metadata->target_count, sizeof *metadata->targets, compare_path);
}

const struct metadata_delegation *metadata_delegation_find(const struct metadata *metadata, const char *role) {
    for (size_t i = 0; i < metadata->delegation_count; i++)
        if (strcmp(metadata->delegations[i].name, role) == 0)
            return &metadata->delegations[i];
    return NULL;
}

bool metadata_delegation_covers(const struct metadata_delegation *delegation, const char *path) {
    char hex[SHA256_HEX_SIZE] = "";
    struct err ignored;
    if (delegation->by_hash && !hash_sha256_hex(path, strlen(path), hex, &ignored))
        return false;
    for (size_t i = 0; i < delegation->pattern_count; i++) {
        const char *pattern = delegation->patterns[i];
        bool covered = delegation->by_hash ? text_starts(hex, pattern) : fnmatch(pattern, path, FNM_PATHNAME | FNM_NOESCAPE) == 0;
        if (covered)
            return true;
    }
    return false;
}

const char *metadata_file_name(struct arena *arena, const struct metadata *metadata) {
    if (metadata->role == METADATA_TIMESTAMP)
        return "timestamp.json";
    return arena_printf(arena, "%lld.%s.json", (long long)metadata->version, metadata->name);
}
