#include "cli/signing.h"

#include "common/text.h"

void cli_signing_close(struct cli_signing_keys *keys) {
    for (size_t i = 0; i < keys->count; i++)
        key_free(keys->keys[i]);
    keys->count = 0;
}

/* Does root name this key for the role? Asked by the public part, before a passphrase is used. */
static bool may_sign(const struct cli_keyring_entry *entry, const struct signers *signers, bool *ret_may, struct err *err) {
    CLEANUP(key_cleanup) struct key *key = NULL;
    if (!key_from_public(entry->keytype, entry->scheme, entry->public, &key, err))
        return err_prefix(err, "key '%s'", entry->name);
    *ret_may = signers_have(signers, key);
    return true;
}

bool cli_signing_open(struct arena *arena, const struct cli_keyring *ring, const char *role, const struct signers *signers,
                      const struct cli_keyring_secret *secret, struct cli_signing_keys *ret_keys, struct err *err) {
    const struct cli_keyring_entry *entries = ring->keys.items;
    struct cli_signing_keys keys = {0};
    bool opened = true;
    for (size_t i = 0; i < ring->keys.count && opened && keys.count < signers->threshold && keys.count < CLI_SIGNING_KEYS_MAX; i++) {
        bool may = false;
        if (!text_equal(entries[i].role, role))
            continue;
        opened = may_sign(&entries[i], signers, &may, err) &&
                 (!may || cli_keyring_open(arena, ring, &entries[i], secret, &keys.keys[keys.count], err));
        keys.count += opened && may ? 1 : 0;
    }
    if (opened && keys.count < signers->threshold)
        opened = err_set(err, ERR_KEY, "%s needs %zu signature%s; %s has %zu key%s of that role that root names", role, signers->threshold,
                         signers->threshold == 1 ? "" : "s", ring->folder, keys.count, keys.count == 1 ? "" : "s");
    if (!opened) {
        cli_signing_close(&keys);
        return false;
    }
    *ret_keys = keys;
    return true;
}

bool cli_signing_sign(const struct cli_signing_keys *keys, struct draft *draft, struct err *err) {
    for (size_t i = 0; i < keys->count; i++)
        if (!draft_sign(draft, keys->keys[i], err))
            return false;
    return true;
}

const struct key *cli_signing_image_key(const struct cli_signing_keys *keys) {
    for (size_t i = 0; i < keys->count; i++)
        if (key_type(keys->keys[i]) == KEY_ECDSA_P256)
            return keys->keys[i];
    return NULL;
}
