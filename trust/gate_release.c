/* The part of gate.h that holds the releases of a new state against those published before. */
#include <string.h>

#include "common/hex.h"
#include "common/text.h"
#include "trust/gate.h"

static const struct release *find_path(const struct trusted_releases *releases, const char *path) {
    for (size_t i = 0; i < releases->count; i++)
        if (strcmp(releases->items[i].path, path) == 0)
            return &releases->items[i];
    return NULL;
}

/* Nothing that was published is gone or says something else. */
static bool check_kept(const struct trusted_releases *before, const struct trusted_releases *after, struct err *err) {
    for (size_t i = 0; i < before->count; i++) {
        const struct release *old = &before->items[i];
        const struct release *new = find_path(after, old->path);
        if (new == NULL)
            return err_set(err, ERR_CONFLICT, "release '%.200s' is published and missing in the new metadata", old->path);
        if (!release_may_follow(old, new))
            return err_set(err, ERR_CONFLICT, "release '%.200s' is published and says something else in the new metadata", old->path);
    }
    return true;
}

/* Every entry of every role is one that a device would find. */
static bool check_reachable(const struct trusted *trusted, const struct trusted_releases *releases, struct err *err) {
    size_t entries = trusted->targets != NULL ? trusted->targets->target_count : 0;
    for (size_t i = 0; i < trusted->delegated_count; i++)
        entries += trusted->delegated[i].metadata->target_count;
    return entries == releases->count ||
           err_set(err, ERR_CONFLICT, "%zu entries are listed by a role that does not speak for their path, or twice", entries - releases->count);
}

/* The counters of one product, as they rise through its releases. */
struct counters {
    const char *product;
    int64_t sequence;
    int64_t security_version;
};

static bool check_added(const struct release *release, const struct counters *last, struct err *err) {
    if (release->withdrawn)
        return err_set_field(err, ERR_INVALID, "withdrawn", "'%.200s' is new and withdrawn already", release->path);
    if (release->sequence <= last->sequence) {
        return err_set_field(err, ERR_DOWNGRADE, "sequence", "'%.200s': sequence %lld is not higher than %lld, the highest of product '%s'",
                             release->path, (long long)release->sequence, (long long)last->sequence, release->product);
    }
    if (release->security_version < last->security_version) {
        return err_set_field(err, ERR_DOWNGRADE, "security_version", "'%.200s': security_version %lld is lower than %lld of product '%s'",
                             release->path, (long long)release->security_version, (long long)last->security_version, release->product);
    }
    return true;
}

/* The highest counters of that product among the releases; zero when it has none. */
static struct counters counters_of(const struct trusted_releases *releases, const char *product) {
    struct counters counters = {.product = product};
    for (size_t i = 0; i < releases->count; i++) {
        const struct release *release = &releases->items[i];
        if (!text_equal(release->product, product))
            continue;
        if (release->sequence > counters.sequence)
            counters.sequence = release->sequence;
        if (release->security_version > counters.security_version)
            counters.security_version = release->security_version;
    }
    return counters;
}

/* `after` is sorted by product and sequence, so the added ones of a product come in their order. */
static bool collect_added(const struct trusted_releases *before, const struct trusted_releases *after, struct trusted_releases *added,
                          struct err *err) {
    struct counters last = {0};
    for (size_t i = 0; i < after->count; i++) {
        const struct release *release = &after->items[i];
        if (find_path(before, release->path) != NULL)
            continue;
        if (!text_equal(last.product, release->product))
            last = counters_of(before, release->product);
        if (!check_added(release, &last, err))
            return false;
        last.sequence = release->sequence;
        last.security_version = release->security_version;
        added->items[added->count++] = *release;
    }
    return true;
}

bool gate_check_releases(const struct trusted *now, const struct trusted *next, struct arena *arena, struct trusted_releases *ret_all,
                         struct trusted_releases *ret_added, struct err *err) {
    struct trusted_releases before = {0}, after = {0}, added = {0};
    if (!trusted_releases(now, arena, &before, err) || !trusted_releases(next, arena, &after, err) || !check_reachable(next, &after, err) ||
        !check_kept(&before, &after, err))
        return false;
    added.items = arena_array(arena, after.count + 1, sizeof *added.items);
    if (added.items == NULL)
        return err_no_memory(err);
    if (!collect_added(&before, &after, &added, err))
        return false;
    *ret_all = after;
    *ret_added = added;
    return true;
}

/* Who signs the role that says this release. */
static const struct signers *signers_of(const struct trusted *trusted, const struct metadata *role) {
    for (size_t i = 0; i < trusted->delegated_count; i++) {
        if (trusted->delegated[i].metadata == role) {
            const struct metadata_delegation *delegation = metadata_delegation_find(trusted->delegated[i].delegator, role->name);
            return delegation != NULL ? &delegation->signers : NULL;
        }
    }
    return role == trusted->targets ? &trusted->root->signers[METADATA_TARGETS] : NULL;
}

bool gate_check_image_signature(const struct trusted *trusted, const struct release *release, int image, const void *signature, size_t len,
                                struct err *err) {
    const struct metadata *role = NULL;
    const struct metadata_target *target = NULL;
    uint8_t digest[32];
    if (!trusted_find(trusted, release->path, NULL, NULL, &role, &target, err))
        return false;
    if (!text_equal(target->sha256, release->sha256) || !hex_decode(release->sha256, 64, digest))
        return err_set(err, ERR_HASH, "'%.200s' has another hash in the metadata", release->path);
    if (!key_check_file(image, err))
        return err_prefix(err, "'%.200s'", release->path);
    const struct signers *signers = signers_of(trusted, role);
    for (size_t i = 0; signers != NULL && i < signers->count; i++) {
        const struct key *key = signers->items[i]->key;
        if (key != NULL && key_type(key) == KEY_ECDSA_P256 && key_verify_digest(key, digest, signature, len, err))
            return true;
    }
    return err_set(err, ERR_SIGNATURE, "'%.200s': the detached signature is by no P-256 key of role %s", release->path, role->name);
}
