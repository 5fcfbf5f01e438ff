#include "cli/diff.h"

#include <ctype.h>
#include <string.h>

#include "cli/plan.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/text.h"

enum { KEYID_SHOWN = 16, HASH_DIGITS = 32, HASH_GROUP = 4 };

bool cli_diff_hash(const struct metadata *next, char ret_hash[CLI_DIFF_HASH_SIZE], struct err *err) {
    char digest[SHA256_HEX_SIZE];
    size_t used = 0;
    if (!hash_sha256_hex(next->envelope.signed_bytes, next->envelope.signed_len, digest, err))
        return false;
    for (size_t i = 0; i < HASH_DIGITS; i++) {
        if (i > 0 && i % HASH_GROUP == 0)
            ret_hash[used++] = '-';
        ret_hash[used++] = digest[i];
    }
    ret_hash[used] = '\0';
    return true;
}

bool cli_diff_same_hash(const char *hash, const char *typed) {
    for (;; hash++, typed++) {
        while (*hash == '-')
            hash++;
        while (*typed == '-' || *typed == ' ')
            typed++;
        if (*hash != (char)tolower((unsigned char)*typed))
            return false;
        if (*hash == '\0')
            return true;
    }
}

static bool check_next(const struct metadata *base, const struct metadata *next, struct err *err) {
    int64_t expected = base == NULL ? 1 : base->version + 1;
    return next->version == expected || err_set(err, ERR_ROLLBACK, "the draft is %s %lld; after what is published comes %lld: make it anew",
                                                next->name, (long long)next->version, (long long)expected);
}

/* Keys are shown by their ids, so an id must say which key it is: no id that somebody else's key could take over, no key that nobody here can read.
 */
static bool check_keys(const struct metadata *next, struct err *err) {
    for (size_t i = 0; i < next->key_count; i++) {
        const struct signer *signer = &next->keys[i];
        if (signer->key == NULL)
            return err_set(err, ERR_FORMAT, "%s names a key of a type that is not known here: %.*s", next->name, KEYID_SHOWN, signer->id);
        if (!text_equal(signer->id, key_id(signer->key)))
            return err_set(err, ERR_FORMAT, "%s lists key %.*s under an id that is not its own: %.*s", next->name, KEYID_SHOWN, key_id(signer->key),
                           KEYID_SHOWN, signer->id);
    }
    return true;
}

static void write_expiry(const struct metadata *base, const struct metadata *next, struct buf *out) {
    char before[CLOCK_RFC3339_SIZE];
    char after[CLOCK_RFC3339_SIZE];
    clock_rfc3339(next->expires_at, after);
    if (base == NULL) {
        buf_printf(out, "  %-17s %s\n", "expires", after);
        return;
    }
    clock_rfc3339(base->expires_at, before);
    buf_printf(out, "  %-17s %s -> %s\n", "expires", before, after);
}

static const struct release *find_last(const struct trusted_releases *published, const struct trusted_releases *added, const char *product) {
    const struct trusted_releases *const lists[] = {published, added};
    const struct release *last = NULL;
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (size_t i = 0; i < lists[l]->count; i++)
            if (text_equal(lists[l]->items[i].product, product) && (last == NULL || lists[l]->items[i].sequence > last->sequence))
                last = &lists[l]->items[i];
    return last;
}

/* Nothing that is published may go or say something else. */
static bool check_kept(struct arena *arena, const struct cli_diff *diff, struct buf *out, struct err *err) {
    for (size_t i = 0; diff->base != NULL && i < diff->base->target_count; i++) {
        const struct metadata_target *old = &diff->base->targets[i];
        const struct metadata_target *new = metadata_target_find(diff->next, old->path);
        struct release before;
        struct release after;
        if (new == NULL)
            return err_set(err, ERR_CONFLICT, "the draft leaves out the published release %.200s", old->path);
        if (!release_read(arena, old->path, old->entry, &before, err) || !release_read(arena, new->path, new->entry, &after, err))
            return false;
        if (!release_may_follow(&before, &after))
            return err_set(err, ERR_CONFLICT, "the draft changes the published release %.200s", old->path);
        if (after.withdrawn && !before.withdrawn)
            buf_printf(out, "! withdrawn for ever: %s (sequence %lld, sha256 %s)\n", after.path, (long long)after.sequence, after.sha256);
    }
    return true;
}

static bool write_added(const struct cli_diff *diff, const struct release *release, const struct trusted_releases *added, struct buf *out,
                        struct err *err) {
    const struct cli_plan plan = {
        .last = find_last(diff->releases, added, release->product),
        .next = release,
        .first_of_repository = diff->first_of_repository,
        .role = diff->next->name,
        .targets_version = diff->next->version,
    };
    for (size_t i = 0; i < diff->releases->count; i++)
        if (text_equal(diff->releases->items[i].product, release->product) && text_equal(diff->releases->items[i].version, release->version))
            return err_set(err, ERR_CONFLICT, "%s %s is published already; a release never changes", release->product, release->version);
    if (release->withdrawn)
        return err_set(err, ERR_INVALID, "%s is new and withdrawn already", release->path);
    if (!cli_plan_check(&plan, err))
        return false;
    cli_plan_text(&plan, out);
    return true;
}

static bool collect_added(struct arena *arena, const struct cli_diff *diff, struct buf *out, struct trusted_releases *ret_added, struct err *err) {
    struct trusted_releases added = {.items = arena_array(arena, diff->next->target_count + 1, sizeof(struct release))};
    if (added.items == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < diff->next->target_count; i++) {
        const struct metadata_target *target = &diff->next->targets[i];
        struct release *release = &added.items[added.count];
        if (diff->base != NULL && metadata_target_find(diff->base, target->path) != NULL)
            continue;
        if (!release_read(arena, target->path, target->entry, release, err) || !write_added(diff, release, &added, out, err))
            return false;
        added.count++;
    }
    *ret_added = added;
    return true;
}

/* A key by what it is, never by what a file calls it (a base may be older than that rule). */
static const char *shown_id(const struct signer *signer) {
    return signer->key != NULL ? key_id(signer->key) : signer->id;
}

/* One line a key: its id as `pawl keys list` shows it begins like that. */
static void write_keys(const struct signers *signers, struct buf *out) {
    buf_printf(out, "%zu of %zu:", signers->threshold, signers->count);
    for (size_t i = 0; i < signers->count; i++)
        buf_printf(out, " %.*s", KEYID_SHOWN, shown_id(signers->items[i]));
}

static void write_paths(const struct metadata_delegation *delegation, struct buf *out) {
    for (size_t i = 0; i < delegation->pattern_count; i++)
        buf_printf(out, "%s%s", i == 0 ? "" : " ", delegation->patterns[i]);
    buf_printf(out, "%s%s", delegation->by_hash ? " (hash prefixes)" : "", delegation->terminating ? " (terminating)" : "");
}

static bool same_delegation(const struct metadata_delegation *a, const struct metadata_delegation *b) {
    bool same = signers_equal(&a->signers, &b->signers) && a->terminating == b->terminating && a->by_hash == b->by_hash &&
                a->pattern_count == b->pattern_count;
    for (size_t i = 0; same && i < a->pattern_count; i++)
        same = text_equal(a->patterns[i], b->patterns[i]);
    return same;
}

static void write_delegations(const struct cli_diff *diff, struct buf *out) {
    for (size_t i = 0; i < diff->next->delegation_count; i++) {
        const struct metadata_delegation *delegation = &diff->next->delegations[i];
        const struct metadata_delegation *before = diff->base == NULL ? NULL : metadata_delegation_find(diff->base, delegation->name);
        if (before != NULL && same_delegation(before, delegation))
            continue;
        buf_printf(out, "! %s delegation to %s: ", before == NULL ? "new" : "changed", delegation->name);
        write_paths(delegation, out);
        buf_text(out, ", signed by ");
        write_keys(&delegation->signers, out);
        buf_byte(out, '\n');
    }
    for (size_t i = 0; diff->base != NULL && i < diff->base->delegation_count; i++)
        if (metadata_delegation_find(diff->next, diff->base->delegations[i].name) == NULL)
            buf_printf(out, "! the delegation to %s ends\n", diff->base->delegations[i].name);
}

/* The first delegation that covers a path has the say, and may end the search: their order is a statement of its own. */
static void write_order(const struct cli_diff *diff, struct buf *out) {
    const struct metadata *base = diff->base;
    bool same = base == NULL || base->delegation_count <= diff->next->delegation_count;
    for (size_t i = 0; same && base != NULL && i < base->delegation_count; i++)
        same = text_equal(base->delegations[i].name, diff->next->delegations[i].name);
    if (same || diff->next->delegation_count < 2)
        return;
    buf_text(out, "! the delegations are asked in another order:");
    for (size_t i = 0; i < diff->next->delegation_count; i++)
        buf_printf(out, "%s %s", i == 0 ? "" : ",", diff->next->delegations[i].name);
    buf_byte(out, '\n');
}

bool cli_diff_targets(struct arena *arena, const struct cli_diff *diff, struct buf *out, struct trusted_releases *ret_added, struct err *err) {
    struct trusted_releases added = {0};
    if (!check_next(diff->base, diff->next, err) || !check_keys(diff->next, err) || !collect_added(arena, diff, out, &added, err))
        return false;
    if (added.count == 0)
        buf_printf(out, "No new release (%s version %lld):\n", diff->next->name, (long long)diff->next->version);
    write_expiry(diff->base, diff->next, out);
    if (!check_kept(arena, diff, out, err))
        return false;
    write_delegations(diff, out);
    write_order(diff, out);
    *ret_added = added;
    return buf_ok(out, "difference", err);
}

static const struct signers *root_role(const struct metadata *root, size_t role) {
    static const enum metadata_role roles[] = {METADATA_ROOT, METADATA_TARGETS, METADATA_SNAPSHOT, METADATA_TIMESTAMP};
    return role < ARRAY_LEN(roles) ? &root->signers[roles[role]] : &root->directive;
}

static bool lists(const struct signers *signers, const struct signer *signer) {
    return signers != NULL && signer->key != NULL && signers_have(signers, signer->key);
}

static void write_role(const char *name, const struct signers *before, const struct signers *after, struct buf *out) {
    buf_printf(out, "  %-17s ", name);
    if (before != NULL && before->threshold != after->threshold)
        buf_printf(out, "%zu of %zu -> ", before->threshold, before->count);
    buf_printf(out, "%zu of %zu", after->threshold, after->count);
    for (size_t i = 0; i < after->count; i++)
        buf_printf(out, "%s%s%.*s", i == 0 ? "  " : ", ", before != NULL && !lists(before, after->items[i]) ? "+" : "", KEYID_SHOWN,
                   shown_id(after->items[i]));
    for (size_t i = 0; before != NULL && i < before->count; i++)
        if (!lists(after, before->items[i]))
            buf_printf(out, ", -%.*s", KEYID_SHOWN, shown_id(before->items[i]));
    buf_byte(out, '\n');
}

bool cli_diff_root(const struct metadata *base, const struct metadata *next, struct buf *out, struct err *err) {
    static const char *const names[] = {"root", "targets", "snapshot", "timestamp", "directive"};
    if (!check_next(base, next, err) || !check_keys(next, err))
        return false;
    if (base == NULL)
        buf_text(out, "Root 1, which everything will be verified from (threshold, keys):\n");
    else
        buf_printf(out, "Root %lld -> %lld (threshold, keys; + new, - gone):\n", (long long)base->version, (long long)next->version);
    write_expiry(base, next, out);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        write_role(names[i], base == NULL ? NULL : root_role(base, i), root_role(next, i), out);
    for (size_t i = 0; i < 2; i++)
        if (root_role(next, i)->threshold < 2)
            buf_printf(out, "! one key alone signs for %s\n", names[i]);
    return buf_ok(out, "difference", err);
}
