#include "cli/signing.h"

#include "cli/prompt.h"
#include "common/file.h"
#include "common/text.h"

bool cli_signing_check(const struct cli_signing_args *args, struct err *err) {
    return args->keys != NULL || args->key_files.count > 0 || err_set_field(err, ERR_USAGE, "keys", "--keys DIR or --key FILE is needed");
}

bool cli_signing_root(struct arena *arena, const struct cli_signing_args *args, const char **ret_path, struct err *err) {
    if (args->root == NULL && args->keys == NULL)
        return err_set_field(err, ERR_USAGE, "root", "--root FILE or --keys DIR is needed: which root is everything verified from?");
    const char *path = args->root != NULL ? args->root : arena_printf(arena, "%s/1.root.json", args->keys);
    if (path == NULL)
        return err_no_memory(err);
    *ret_path = path;
    return true;
}

void cli_signing_close(struct cli_signing *signing) {
    for (size_t i = 0; i < signing->count; i++)
        key_free(signing->keys[i]);
    signing->count = 0;
    buf_wipe(&signing->passphrase);
}

static bool room_for_key(const struct cli_signing *signing, struct err *err) {
    return signing->count < CLI_SIGNING_KEYS_MAX || err_set(err, ERR_USAGE, "more than %d keys at once", CLI_SIGNING_KEYS_MAX);
}

static bool open_file(struct cli_signing *signing, const char *path, struct err *err) {
    struct key *key = NULL;
    if (!room_for_key(signing, err))
        return false;
    if (!key_load_private(path, signing->passphrase.data, signing->passphrase.len, &key, err)) {
        if (err->code == ERR_NOT_FOUND)
            err->code = ERR_KEY;
        return false;
    }
    signing->keys[signing->count++] = key;
    return true;
}

static bool open_all(struct cli *cli, const struct cli_signing_args *args, struct cli_signing *signing, struct err *err) {
    const struct cli_passphrase_source source = {args->passphrase_file, args->passphrase_fd, "passphrase-file", "passphrase-fd"};
    const char *what = args->key_files.count == 1 && args->keys == NULL ? args->key_files.items[0] : "the signing keys";
    if (args->keys != NULL && !cli_keyring_read(&cli->arena, args->keys, &signing->ring, err))
        return false;
    signing->has_ring = args->keys != NULL;
    if (!cli_prompt_passphrase(cli, &source, what, false, &signing->passphrase, err))
        return false;
    for (size_t i = 0; i < args->key_files.count; i++)
        if (!open_file(signing, args->key_files.items[i], err))
            return false;
    return true;
}

bool cli_signing_open(struct cli *cli, const struct cli_signing_args *args, struct cli_signing *ret_signing, struct err *err) {
    struct cli_signing signing = {.arena = &cli->arena};
    if (!cli_signing_check(args, err) || !open_all(cli, args, &signing, err)) {
        cli_signing_close(&signing);
        return false;
    }
    *ret_signing = signing;
    return true;
}

/* Does root name this key for the role? Asked by the public part, before a passphrase is used. */
static bool may_sign(const struct cli_keyring_entry *entry, const struct signers *signers, bool *ret_may, struct err *err) {
    CLEANUP(key_cleanup) struct key *key = NULL;
    if (!key_from_public(entry->keytype, entry->scheme, entry->public, &key, err))
        return err_prefix(err, "key '%s'", entry->name);
    *ret_may = signers_have(signers, key);
    return true;
}

/* The key of the entry, opened now or before. */
static bool open_entry(struct cli_signing *signing, const struct cli_keyring_entry *entry, const struct key **ret_key, struct err *err) {
    const struct cli_keyring_secret secret = {.passphrase = signing->passphrase.data, .len = signing->passphrase.len};
    struct key *key = NULL;
    for (size_t i = 0; i < signing->count; i++)
        if (text_equal(key_public(signing->keys[i]), entry->public)) {
            *ret_key = signing->keys[i];
            return true;
        }
    if (!room_for_key(signing, err) || !cli_keyring_open(signing->arena, &signing->ring, entry, &secret, &key, err))
        return false;
    signing->keys[signing->count++] = key;
    *ret_key = key;
    return true;
}

/* Key files come first: somebody named them. */
bool cli_signing_find(struct cli_signing *signing, const struct signers *signers, size_t most, const struct key **ret_keys, size_t *ret_count,
                      struct err *err) {
    const struct cli_keyring_entry *entries = signing->ring.keys.items;
    size_t count = 0;
    for (size_t i = 0; i < signing->count && count < most; i++)
        if (signers_have(signers, signing->keys[i]))
            ret_keys[count++] = signing->keys[i];
    for (size_t i = 0; signing->has_ring && i < signing->ring.keys.count && count < most; i++) {
        const struct key *key = NULL;
        bool may = false;
        const char *path = cli_keyring_path(signing->arena, signing->ring.folder, entries[i].file);
        if (path == NULL)
            return err_no_memory(err);
        if (!file_exists(path)) /* it is kept elsewhere, or lost */
            continue;
        if (!may_sign(&entries[i], signers, &may, err) || (may && !open_entry(signing, &entries[i], &key, err)))
            return false;
        bool doubled = false;
        for (size_t j = 0; j < count; j++)
            doubled = doubled || ret_keys[j] == key;
        if (key != NULL && !doubled)
            ret_keys[count++] = key;
    }
    *ret_count = count;
    return true;
}

bool cli_signing_sign(struct cli_signing *signing, const char *role, const struct signers *signers, size_t least, struct draft *draft,
                      struct err *err) {
    const struct key *keys[CLI_SIGNING_KEYS_MAX];
    size_t most = signers->threshold < CLI_SIGNING_KEYS_MAX ? signers->threshold : CLI_SIGNING_KEYS_MAX;
    size_t count = 0;
    if (!cli_signing_find(signing, signers, most, keys, &count, err))
        return false;
    if (count < least)
        return err_set(err, ERR_KEY, "%s needs %zu signature%s; %zu of the keys given here may sign it", role, least, least == 1 ? "" : "s", count);
    for (size_t i = 0; i < count; i++)
        if (!draft_sign(draft, keys[i], err))
            return false;
    return true;
}

bool cli_signing_image_key(struct cli_signing *signing, const struct signers *signers, const struct key **ret_key, struct err *err) {
    const struct key *keys[CLI_SIGNING_KEYS_MAX];
    size_t count = 0;
    if (!cli_signing_find(signing, signers, 1, keys, &count, err))
        return false;
    *ret_key = NULL;
    for (size_t i = 0; i < count && *ret_key == NULL; i++)
        if (key_type(keys[i]) == KEY_ECDSA_P256)
            *ret_key = keys[i];
    return true;
}
