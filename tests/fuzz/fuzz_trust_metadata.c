/* Any bytes as a metadata file; the first byte says which of the four roles. What is read can be searched and asked. */
#include <stdlib.h>

#include "trust/metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask_targets(const struct metadata *metadata) {
    struct err err;
    for (size_t i = 0; i < metadata->target_count; i++) {
        struct arena arena;
        struct release release;
        const struct metadata_target *target = &metadata->targets[i];
        if (metadata_target_find(metadata, target->path) != target)
            abort();
        arena_init(&arena, 1 << 20);
        if (release_read(&arena, target->path, target->entry, &release, &err) && !release_check(&release, &err))
            abort();
        arena_clear(&arena);
        for (size_t j = 0; j < metadata->delegation_count; j++)
            (void)!metadata_delegation_covers(&metadata->delegations[j], target->path);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    struct err err;
    struct metadata *metadata = NULL;
    enum metadata_role role = (enum metadata_role)(METADATA_ROOT + data[0] % 4);
    if (!metadata_parse(role, NULL, data + 1, size - 1, &metadata, &err))
        return 0;
    if (metadata->version < 1 || metadata->len != size - 1)
        abort();
    for (enum metadata_role i = METADATA_ROOT; role == METADATA_ROOT && i < METADATA_ROLE_COUNT; i++)
        if (metadata->signers[i].threshold < 1 || metadata->signers[i].threshold > signers_distinct(&metadata->signers[i]))
            abort();
    if (role == METADATA_ROOT && metadata_verify(metadata, &metadata->signers[METADATA_ROOT], "root", &err) != VERDICT_VERIFIED &&
        err.code != ERR_SIGNATURE && err.code != ERR_THRESHOLD)
        abort();
    ask_targets(metadata);
    metadata_free(metadata);
    return 0;
}
