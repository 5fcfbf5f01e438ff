/* The part of trusted.h that looks releases up along delegations. */
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "trust/trusted.h"

/* A delegation still to be visited. */
struct step {
    const struct metadata *delegator;
    const char *role;
};

struct walk {
    const char *path;
    struct step stack[TRUSTED_DELEGATED_MAX * METADATA_DELEGATIONS_MAX]; /* the top is next */
    size_t depth;
    const char *visited[TRUSTED_DELEGATED_MAX];
    size_t visited_count;
};

static bool provide_held(void *context, const struct metadata *delegator, const char *role, const struct metadata **ret_metadata, struct err *err) {
    const struct trusted *trusted = context;
    for (size_t i = 0; i < trusted->delegated_count; i++) {
        const struct trusted_role *held = &trusted->delegated[i];
        if (!text_equal(held->metadata->name, role))
            continue;
        const struct metadata_delegation *delegation = metadata_delegation_find(delegator, role);
        if (held->delegator != delegator && metadata_verify(held->metadata, &delegation->signers, role, err) != VERDICT_VERIFIED)
            return false;
        *ret_metadata = held->metadata;
        return true;
    }
    return err_set(err, ERR_NOT_FOUND, "delegated role %s is not loaded", role);
}

static bool was_visited(const struct walk *walk, const char *role) {
    for (size_t i = 0; i < walk->visited_count; i++)
        if (text_equal(walk->visited[i], role))
            return true;
    return false;
}

/* Puts the delegations that cover the path onto the stack, the first on top. */
static void push_delegations(struct walk *walk, const struct metadata *metadata) {
    size_t chosen = 0;
    while (chosen < metadata->delegation_count) {
        const struct metadata_delegation *delegation = &metadata->delegations[chosen++];
        if (delegation->terminating && metadata_delegation_covers(delegation, walk->path)) {
            walk->depth = 0; /* nothing behind a terminating one is asked */
            break;
        }
    }
    for (size_t i = chosen; i-- > 0;) {
        const struct metadata_delegation *delegation = &metadata->delegations[i];
        if (metadata_delegation_covers(delegation, walk->path) && walk->depth < ARRAY_LEN(walk->stack))
            walk->stack[walk->depth++] = (struct step){.delegator = metadata, .role = delegation->name};
    }
}

static bool not_found(const char *path, struct err *err) {
    return err_set(err, ERR_NOT_FOUND, "no verified metadata lists '%.200s'", path);
}

static bool walk_on(struct walk *walk, trusted_provide *provide, void *context, const struct metadata **ret_role,
                    const struct metadata_target **ret_target, struct err *err) {
    while (walk->depth > 0) {
        struct step step = walk->stack[--walk->depth];
        const struct metadata *metadata = NULL;
        if (was_visited(walk, step.role))
            continue;
        if (walk->visited_count == ARRAY_LEN(walk->visited))
            break;
        walk->visited[walk->visited_count++] = step.role;
        if (!provide(context, step.delegator, step.role, &metadata, err))
            return false;
        const struct metadata_target *target = metadata_target_find(metadata, walk->path);
        if (target != NULL) {
            *ret_role = metadata;
            *ret_target = target;
            return true;
        }
        push_delegations(walk, metadata);
    }
    return not_found(walk->path, err);
}

bool trusted_find(const struct trusted *trusted, const char *path, trusted_provide *provide, void *context, const struct metadata **ret_role,
                  const struct metadata_target **ret_target, struct err *err) {
    if (trusted->targets == NULL)
        return not_found(path, err);
    const struct metadata_target *target = metadata_target_find(trusted->targets, path);
    if (target != NULL) {
        *ret_role = trusted->targets;
        *ret_target = target;
        return true;
    }
    struct walk *walk = calloc(1, sizeof *walk);
    if (walk == NULL)
        return err_no_memory(err);
    walk->path = path;
    push_delegations(walk, trusted->targets);
    bool found = walk_on(walk, provide != NULL ? provide : provide_held, provide != NULL ? context : (void *)(uintptr_t)trusted, ret_role, ret_target,
                         err);
    free(walk);
    return found;
}

bool trusted_release(const struct trusted *trusted, struct arena *arena, const char *path, struct release *ret_release, const char **ret_role,
                     struct err *err) {
    const struct metadata *role = NULL;
    const struct metadata_target *target = NULL;
    if (!trusted_find(trusted, path, NULL, NULL, &role, &target, err) || !release_read(arena, path, target->entry, ret_release, err))
        return false;
    if (ret_role != NULL)
        *ret_role = role->name;
    return true;
}

static int compare_releases(const void *a, const void *b) {
    const struct release *left = a, *right = b;
    int order = strcmp(left->product, right->product);
    if (order != 0)
        return order;
    if (left->sequence != right->sequence)
        return left->sequence < right->sequence ? -1 : 1;
    return strcmp(left->path, right->path);
}

/* Adds the entries of one role that a look-up would end at. */
static bool add_role(const struct trusted *trusted, struct arena *arena, const struct metadata *metadata, struct trusted_releases *releases,
                     struct err *err) {
    for (size_t i = 0; i < metadata->target_count; i++) {
        const char *path = metadata->targets[i].path;
        const struct metadata *role = NULL;
        const struct metadata_target *target = NULL;
        if (!trusted_find(trusted, path, NULL, NULL, &role, &target, err)) {
            if (err->code != ERR_NOT_FOUND)
                return false;
            continue;
        }
        if (role == metadata && !release_read(arena, path, target->entry, &releases->items[releases->count++], err))
            return false;
    }
    return true;
}

bool trusted_releases(const struct trusted *trusted, struct arena *arena, struct trusted_releases *ret_releases, struct err *err) {
    size_t most = trusted->targets != NULL ? trusted->targets->target_count : 0;
    for (size_t i = 0; i < trusted->delegated_count; i++)
        most += trusted->delegated[i].metadata->target_count;
    struct trusted_releases releases = {.items = arena_array(arena, most + 1, sizeof *releases.items)};
    if (releases.items == NULL)
        return err_no_memory(err);
    if (trusted->targets != NULL && !add_role(trusted, arena, trusted->targets, &releases, err))
        return false;
    for (size_t i = 0; i < trusted->delegated_count; i++)
        if (!add_role(trusted, arena, trusted->delegated[i].metadata, &releases, err))
            return false;
    qsort(releases.items, releases.count, sizeof *releases.items, compare_releases);
    *ret_releases = releases;
    return true;
}
