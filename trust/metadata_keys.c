/* The part of metadata.h that reads keys and who signs what: root, and the key part of delegations. */
#include <string.h>

#include "common/text.h"
#include "trust/metadata_internal.h"
#include "trust/profile.h"

static bool read_key(const struct metadata *metadata, const char *id, const json_t *object, struct key **ret_key, struct err *err) {
    const char *keytype = json_string_value(json_object_get(object, "keytype"));
    const char *scheme = json_string_value(json_object_get(object, "scheme"));
    const json_t *keyval = json_object_get(object, "keyval");
    if (keytype == NULL || scheme == NULL || !json_is_object(keyval))
        return err_set(err, ERR_FORMAT, "%s: key %s has no keytype, scheme or keyval", metadata->name, id);
    const char *public_text = json_string_value(json_object_get(keyval, "public"));
    if (key_from_public(keytype, scheme, public_text != NULL ? public_text : "", ret_key, err))
        return true;
    if (err->code == ERR_NOT_IMPLEMENTED || (!PROFILE_STRICT && err->code == ERR_KEY)) {
        *ret_key = NULL;
        return true;
    }
    if (err->code == ERR_KEY)
        err->code = ERR_FORMAT;
    return err_prefix(err, "%s: key %s", metadata->name, id);
}

bool metadata_read_keys(struct metadata *metadata, const json_t *keys, struct err *err) {
    size_t count = json_object_size(keys);
    if (!json_is_object(keys) || count > METADATA_KEYS_MAX)
        return err_set(err, ERR_FORMAT, "%s: 'keys' is not an object of at most %d keys", metadata->name, METADATA_KEYS_MAX);
    struct signer *list = arena_array(&metadata->arena, count + 1, sizeof *list);
    if (list == NULL)
        return err_no_memory(err);
    metadata->keys = list;
    const char *id = NULL;
    json_t *object = NULL;
    json_object_foreach((json_t *)keys, id, object) {
        struct key *key = NULL;
        if (!envelope_keyid_check(id, metadata->name, err) || !read_key(metadata, id, object, &key, err))
            return false;
        list[metadata->key_count++] = (struct signer){.id = id, .key = key};
    }
    return true;
}

static const struct signer *find_signer(const struct metadata *metadata, const char *id) {
    for (size_t i = 0; id != NULL && i < metadata->key_count; i++)
        if (strcmp(metadata->keys[i].id, id) == 0)
            return &metadata->keys[i];
    return NULL;
}

static bool read_keyids(struct metadata *metadata, const json_t *keyids, const char *role_name, struct signers *signers, struct err *err) {
    size_t count = json_array_size(keyids);
    if (!json_is_array(keyids) || count > METADATA_KEYS_MAX)
        return err_set(err, ERR_FORMAT, "%s: role %s has no list 'keyids' of at most %d", metadata->name, role_name, METADATA_KEYS_MAX);
    const struct signer **items = arena_array(&metadata->arena, count + 1, sizeof *items);
    if (items == NULL)
        return err_no_memory(err);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const struct signer *signer = find_signer(metadata, json_string_value(json_array_get(keyids, i)));
        if (signer == NULL && PROFILE_STRICT)
            return err_set(err, ERR_FORMAT, "%s: role %s names a key that is not listed", metadata->name, role_name);
        for (size_t j = 0; signer != NULL && j < used; j++)
            if (items[j] == signer)
                return err_set(err, ERR_FORMAT, "%s: role %s names key %s twice", metadata->name, role_name, signer->id);
        if (signer != NULL)
            items[used++] = signer;
    }
    signers->items = items;
    signers->count = used;
    return true;
}

bool metadata_read_signers(struct metadata *metadata, const json_t *role, const char *role_name, struct signers *ret_signers, struct err *err) {
    const json_t *threshold = json_object_get(role, "threshold");
    struct signers signers = {0};
    if (!json_is_object(role) || !json_is_integer(threshold))
        return err_set(err, ERR_FORMAT, "%s: role %s is missing or its threshold is no integer", metadata->name, role_name);
    if (!read_keyids(metadata, json_object_get(role, "keyids"), role_name, &signers, err))
        return false;
    int64_t value = json_integer_value(threshold);
    size_t distinct = signers_distinct(&signers);
    if (value < 1 || (PROFILE_STRICT && value > (int64_t)distinct)) {
        return err_set(err, ERR_THRESHOLD, "%s: the threshold of role %s is %lld with %zu different keys", metadata->name, role_name,
                       (long long)value, distinct);
    }
    signers.threshold = (size_t)value;
    *ret_signers = signers;
    return true;
}

bool metadata_read_root(struct metadata *metadata, const json_t *body, struct err *err) {
    static const enum metadata_role top_level[] = {METADATA_ROOT, METADATA_TIMESTAMP, METADATA_SNAPSHOT, METADATA_TARGETS};
    const json_t *role_objects = json_object_get(body, "roles");
    const json_t *directive = json_object_get(body, "x-pawl-directive");
    metadata->consistent_snapshot = json_is_true(json_object_get(body, "consistent_snapshot"));
    if (PROFILE_STRICT && !metadata->consistent_snapshot)
        return err_set(err, ERR_FORMAT, "%s: 'consistent_snapshot' is not true", metadata->name);
    if (!metadata_read_keys(metadata, json_object_get(body, "keys"), err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(top_level); i++) {
        const char *name = metadata_role_name(top_level[i]);
        if (!metadata_read_signers(metadata, json_object_get(role_objects, name), name, &metadata->signers[top_level[i]], err))
            return false;
    }
    return directive == NULL || metadata_read_signers(metadata, directive, "x-pawl-directive", &metadata->directive, err);
}
