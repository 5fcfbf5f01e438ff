/* The part of metadata.h that reads what timestamp, snapshot and targets say. */
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "trust/metadata_internal.h"
#include "trust/profile.h"

enum { PATTERN_MAX = 256, PATTERN_STARS_MAX = 8, PREFIX_MAX = 64, FILES_MAX = 1024 };

static bool file_name_is_fine(const char *name) {
    size_t len = strlen(name);
    return len > strlen(".json") && len <= METADATA_ROLE_NAME_MAX + strlen(".json") && text_ends(name, ".json") &&
           (!PROFILE_STRICT || (strchr(name, '/') == NULL && strchr(name, ' ') == NULL));
}

static bool read_file(const struct metadata *metadata, const char *name, const json_t *object, struct metadata_file *ret_file, struct err *err) {
    struct metadata_file file = {.name = name, .length = -1};
    if (!file_name_is_fine(name))
        return err_set(err, ERR_FORMAT, "%s: 'meta' names a file that is none of a role", metadata->name);
    if (!metadata_read_number(metadata, object, "version", 1, JSON_INT_MAX, &file.version, err) ||
        !metadata_read_sha256(metadata, object, &file.sha256, err))
        return false;
    if (json_object_get(object, "length") != NULL && !metadata_read_number(metadata, object, "length", 1, JSON_INT_MAX, &file.length, err))
        return false;
    *ret_file = file;
    return true;
}

bool metadata_read_files(struct metadata *metadata, const json_t *body, struct err *err) {
    const json_t *meta = json_object_get(body, "meta");
    size_t count = json_object_size(meta);
    const char *needed = metadata->role == METADATA_TIMESTAMP ? "snapshot.json" : "targets.json";
    if (json_object_get(meta, needed) == NULL || count > FILES_MAX || (metadata->role == METADATA_TIMESTAMP && count != 1))
        return err_set(err, ERR_FORMAT, "%s: 'meta' does not name %s, or names too many files", metadata->name, needed);
    struct metadata_file *files = arena_array(&metadata->arena, count, sizeof *files);
    if (files == NULL)
        return err_no_memory(err);
    const char *name = NULL;
    json_t *object = NULL;
    json_object_foreach((json_t *)meta, name, object) {
        if (!read_file(metadata, name, object, &files[metadata->file_count], err))
            return false;
        metadata->file_count++;
    }
    metadata->files = files;
    return true;
}

/* The relaxed profile leaves other algorithms to whoever reads the entry. */
static bool read_target_hash(const struct metadata *metadata, const json_t *entry, const char **ret_sha256, struct err *err) {
    if (!PROFILE_STRICT && json_object_get(json_object_get(entry, "hashes"), "sha256") == NULL) {
        *ret_sha256 = NULL;
        return true;
    }
    return metadata_read_sha256(metadata, entry, ret_sha256, err);
}

static bool read_target(const struct metadata *metadata, const char *path, const json_t *entry, struct metadata_target *ret_target, struct err *err) {
    struct metadata_target target = {.path = path, .entry = entry};
    size_t len = strlen(path);
    if (len < 1 || len > RELEASE_PATH_MAX)
        return err_set(err, ERR_FORMAT, "%s: a target path has 1 to %d bytes", metadata->name, RELEASE_PATH_MAX);
    if (!metadata_read_number(metadata, entry, "length", 0, JSON_INT_MAX, &target.length, err) ||
        !read_target_hash(metadata, entry, &target.sha256, err))
        return false;
    if (PROFILE_STRICT && target.sha256 == NULL)
        return err_set(err, ERR_FORMAT, "%s: target '%s' has no hash", metadata->name, path);
    *ret_target = target;
    return true;
}

static int compare_targets(const void *a, const void *b) {
    return strcmp(((const struct metadata_target *)a)->path, ((const struct metadata_target *)b)->path);
}

/* A canonical file's members come sorted and stay so. */
static bool read_target_list(struct metadata *metadata, const json_t *list, struct err *err) {
    struct metadata_target *targets = arena_array(&metadata->arena, json_object_size(list) + 1, sizeof *targets);
    if (!json_is_object(list))
        return err_set(err, ERR_FORMAT, "%s: 'targets' is missing or no object", metadata->name);
    if (targets == NULL)
        return err_no_memory(err);
    const char *path = NULL;
    json_t *entry = NULL;
    json_object_foreach((json_t *)list, path, entry) {
        if (!read_target(metadata, path, entry, &targets[metadata->target_count], err))
            return false;
        metadata->target_count++;
    }
    if (!PROFILE_STRICT)
        qsort(targets, metadata->target_count, sizeof *targets, compare_targets);
    metadata->targets = targets;
    return true;
}

static bool glob_is_fine(const char *pattern) {
    size_t stars = 0;
    for (const char *at = pattern; *at != '\0'; at++)
        stars += *at == '*';
    size_t len = strlen(pattern);
    return len >= 1 && len <= PATTERN_MAX && stars <= PATTERN_STARS_MAX && strchr(pattern, '\n') == NULL;
}

static bool prefix_is_fine(const char *prefix) {
    size_t len = strlen(prefix);
    return len >= 1 && len <= PREFIX_MAX && strspn(prefix, "0123456789abcdef") == len;
}

static bool read_patterns(struct metadata *metadata, const json_t *role, struct metadata_delegation *delegation, struct err *err) {
    const json_t *globs = json_object_get(role, "paths");
    const json_t *prefixes = json_object_get(role, "path_hash_prefixes");
    delegation->by_hash = prefixes != NULL;
    const json_t *list = prefixes != NULL ? prefixes : globs;
    size_t count = json_array_size(list);
    if ((globs != NULL && prefixes != NULL) || !json_is_array(list) || (PROFILE_STRICT && count < 1) || count > METADATA_PATTERNS_MAX) {
        return err_set(err, ERR_FORMAT, "%s: delegation %s has not exactly one of 'paths' and 'path_hash_prefixes', with 1 to %d entries",
                       metadata->name, delegation->name, METADATA_PATTERNS_MAX);
    }
    const char **patterns = arena_array(&metadata->arena, count + 1, sizeof *patterns);
    if (patterns == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        patterns[i] = json_string_value(json_array_get(list, i));
        if (patterns[i] == NULL || !(delegation->by_hash ? prefix_is_fine(patterns[i]) : glob_is_fine(patterns[i])))
            return err_set(err, ERR_FORMAT, "%s: delegation %s has a pattern that is none", metadata->name, delegation->name);
    }
    delegation->patterns = patterns;
    delegation->pattern_count = count;
    return true;
}

bool metadata_delegated_name_check(const char *name, struct err *err) {
    bool fine = name != NULL && (PROFILE_STRICT ? text_is_id(name) : name[0] != '\0' && strlen(name) <= METADATA_ROLE_NAME_MAX);
    for (enum metadata_role role = METADATA_ROOT; role < METADATA_ROLE_COUNT; role++)
        fine = fine && !text_equal(name, metadata_role_name(role));
    return fine || err_set_field(err, ERR_INVALID, "role", "a delegated role's name is [A-Za-z0-9._:-]{1,64} and none of the four roles");
}

static bool read_delegation(struct metadata *metadata, const json_t *role, struct metadata_delegation *ret_delegation, struct err *err) {
    struct metadata_delegation delegation = {.name = json_string_value(json_object_get(role, "name"))};
    const json_t *terminating = json_object_get(role, "terminating");
    if (!metadata_delegated_name_check(delegation.name, err)) {
        err->code = ERR_FORMAT;
        return err_prefix(err, "%s", metadata->name);
    }
    if (metadata_delegation_find(metadata, delegation.name) != NULL)
        return err_set(err, ERR_FORMAT, "%s: delegates to %s twice", metadata->name, delegation.name);
    if (!json_is_boolean(terminating))
        return err_set(err, ERR_FORMAT, "%s: delegation %s: 'terminating' is missing or no boolean", metadata->name, delegation.name);
    delegation.terminating = json_is_true(terminating);
    if (!metadata_read_signers(metadata, role, delegation.name, &delegation.signers, err) || !read_patterns(metadata, role, &delegation, err))
        return false;
    *ret_delegation = delegation;
    return true;
}

static bool read_delegations(struct metadata *metadata, const json_t *delegations, struct err *err) {
    const json_t *list = json_object_get(delegations, "roles");
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > METADATA_DELEGATIONS_MAX)
        return err_set(err, ERR_FORMAT, "%s: 'delegations' has no list 'roles' of at most %d", metadata->name, METADATA_DELEGATIONS_MAX);
    struct metadata_delegation *items = arena_array(&metadata->arena, count + 1, sizeof *items);
    if (items == NULL)
        return err_no_memory(err);
    metadata->delegations = items;
    if (!metadata_read_keys(metadata, json_object_get(delegations, "keys"), err))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!read_delegation(metadata, json_array_get(list, i), &items[i], err))
            return false;
        metadata->delegation_count++;
    }
    return true;
}

bool metadata_read_targets(struct metadata *metadata, const json_t *body, struct err *err) {
    const json_t *delegations = json_object_get(body, "delegations");
    return read_target_list(metadata, json_object_get(body, "targets"), err) && (delegations == NULL || read_delegations(metadata, delegations, err));
}
