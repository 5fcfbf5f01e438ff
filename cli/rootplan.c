#include "cli/rootplan.h"
#include "cli/local.h"

#include <string.h>

#include "common/file.h"
#include "common/text.h"

enum { ID_DIGITS_MIN = 8 };

const char *const cli_rootplan_names[CLI_ROOTPLAN_ROLES] = {"root", "targets", "snapshot", "timestamp", "directive"};

const struct signers *cli_rootplan_signers(const struct metadata *root, size_t role) {
    static const enum metadata_role roles[] = {METADATA_ROOT, METADATA_TARGETS, METADATA_SNAPSHOT, METADATA_TIMESTAMP};
    return role < ARRAY_LEN(roles) ? &root->signers[roles[role]] : &root->directive;
}

void cli_rootplan_free(struct cli_rootplan *plan) {
    for (size_t i = 0; i < plan->owned_count; i++)
        key_free(plan->owned[i]);
    plan->owned_count = 0;
}

static bool put(struct cli_rootplan_role *role, const char *name, const struct key *key, struct err *err) {
    for (size_t i = 0; i < role->count; i++)
        if (key_same(role->keys[i], key))
            return err_set(err, ERR_USAGE, "role %s has key %.16s… already", name, key_id(key));
    if (role->count == CLI_ROOTPLAN_KEYS_MAX)
        return err_set(err, ERR_USAGE, "role %s has %d keys already", name, CLI_ROOTPLAN_KEYS_MAX);
    role->keys[role->count++] = key;
    return true;
}

bool cli_rootplan_from(const struct metadata *root, struct cli_rootplan *ret_plan, struct err *err) {
    struct cli_rootplan plan = {0};
    for (size_t r = 0; r < CLI_ROOTPLAN_ROLES; r++) {
        const struct signers *signers = cli_rootplan_signers(root, r);
        plan.roles[r].threshold = signers->threshold;
        for (size_t i = 0; i < signers->count; i++) {
            if (signers->items[i]->key == NULL)
                return err_set(err, ERR_NOT_IMPLEMENTED, "root names a key of a type that is not known here: %.16s…", signers->items[i]->id);
            if (!put(&plan.roles[r], cli_rootplan_names[r], signers->items[i]->key, err))
                return false;
        }
    }
    *ret_plan = plan;
    return true;
}

/* Takes "ROLE=VALUE" apart. */
static bool take_role(const char *option, const char *what, size_t *ret_role, const char **ret_value, struct err *err) {
    const char *equals = strchr(what, '=');
    for (size_t r = 0; equals != NULL && equals[1] != '\0' && r < CLI_ROOTPLAN_ROLES; r++)
        if (strlen(cli_rootplan_names[r]) == (size_t)(equals - what) && strncmp(what, cli_rootplan_names[r], (size_t)(equals - what)) == 0) {
            *ret_role = r;
            *ret_value = equals + 1;
            return true;
        }
    return err_set_field(err, ERR_USAGE, option, "--%s '%s' is not ROLE=VALUE with root, targets, snapshot, timestamp or directive", option, what);
}

bool cli_rootplan_add(struct cli_rootplan *plan, const char *what, struct err *err) {
    CLEANUP(key_cleanup) struct key *key = NULL;
    const char *path = NULL;
    size_t role = 0;
    if (!take_role("add-key", what, &role, &path, err) || !cli_local_public_key(path, &key, err))
        return false;
    if (plan->owned_count == ARRAY_LEN(plan->owned))
        return err_set(err, ERR_USAGE, "more than %zu new keys", ARRAY_LEN(plan->owned));
    if (!put(&plan->roles[role], cli_rootplan_names[role], key, err))
        return false;
    plan->owned[plan->owned_count++] = key;
    key = NULL;
    return true;
}

bool cli_rootplan_remove(struct cli_rootplan *plan, const char *what, struct err *err) {
    const char *id = NULL;
    size_t role = 0;
    size_t found = 0;
    size_t place = 0;
    if (!take_role("remove-key", what, &role, &id, err))
        return false;
    struct cli_rootplan_role *keys = &plan->roles[role];
    for (size_t i = 0; i < keys->count && strlen(id) >= ID_DIGITS_MIN; i++)
        if (text_starts(key_id(keys->keys[i]), id)) {
            place = i;
            found++;
        }
    if (found != 1)
        return err_set_field(err, ERR_USAGE, "remove-key", "role %s has %s key '%s' (give at least %d digits of its id)", cli_rootplan_names[role],
                             found == 0 ? "no" : "more than one", id, ID_DIGITS_MIN);
    keys->keys[place] = keys->keys[--keys->count];
    return true;
}

bool cli_rootplan_threshold(struct cli_rootplan *plan, const char *what, struct err *err) {
    const char *number = NULL;
    int64_t threshold = 0;
    size_t role = 0;
    if (!take_role("threshold", what, &role, &number, err))
        return false;
    if (!text_to_int(number, 1, CLI_ROOTPLAN_KEYS_MAX, &threshold))
        return err_set_field(err, ERR_USAGE, "threshold", "--threshold '%s' is not a number from 1 to %d", what, CLI_ROOTPLAN_KEYS_MAX);
    plan->roles[role].threshold = (size_t)threshold;
    return true;
}

static struct repository_signers signers_of(const struct cli_rootplan_role *role) {
    return (struct repository_signers){.keys = role->keys, .count = role->count, .threshold = role->threshold};
}

bool cli_rootplan_draft(const struct cli_rootplan *plan, int64_t version, int64_t expires_at, struct draft **ret_draft, struct err *err) {
    const struct repository_root root = {
        .version = version,
        .expires_at = expires_at,
        .root = signers_of(&plan->roles[0]),
        .targets = signers_of(&plan->roles[1]),
        .snapshot = signers_of(&plan->roles[2]),
        .timestamp = signers_of(&plan->roles[3]),
        .directive = signers_of(&plan->roles[4]),
    };
    return repository_root(&root, ret_draft, err);
}
