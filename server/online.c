#include "server/online.h"

#include <dirent.h>

#include "common/arena.h"
#include "common/file.h"
#include "common/text.h"

static bool load_one(const char *path, const char *what, const struct buf *passphrase, struct key **ret_key, struct err *err) {
    if (path == NULL)
        return err_set(err, ERR_CONFIG, "[trust] %s is not set", what);
    return key_load_private(path, passphrase->data, passphrase->len, ret_key, err) ? true : err_prefix(err, "[trust] %s", what);
}

bool online_passphrase(const char *path, const char *what, struct buf *ret_passphrase, struct err *err) {
    if (path == NULL)
        return err_set(err, ERR_CONFIG, "%s is not set", what);
    if (!file_read_secret(path, ret_passphrase, err))
        return err_prefix(err, "%s", what);
    while (ret_passphrase->len > 0 &&
           (ret_passphrase->data[ret_passphrase->len - 1] == '\n' || ret_passphrase->data[ret_passphrase->len - 1] == '\r'))
        ret_passphrase->len--;
    return true;
}

static bool read_passphrase(const struct server_config *config, struct buf *passphrase, struct err *err) {
    return online_passphrase(config->trust.passphrase_file, "[trust] passphrase_file", passphrase, err);
}

bool online_load(const struct server_config *config, struct key **ret_timestamp, struct key **ret_directive, struct err *err) {
    struct buf passphrase CLEANUP(buf_wipe) = BUF_INIT(KEY_PASSPHRASE_MAX + 2);
    struct key *timestamp CLEANUP(key_cleanup) = NULL;
    if (!read_passphrase(config, &passphrase, err) || !load_one(config->trust.timestamp_key, "timestamp_key", &passphrase, &timestamp, err) ||
        !load_one(config->trust.directive_key, "directive_key", &passphrase, ret_directive, err))
        return false;
    *ret_timestamp = timestamp;
    timestamp = NULL;
    return true;
}

bool online_load_audit(const struct server_config *config, struct key **ret_audit, struct err *err) {
    struct buf passphrase CLEANUP(buf_wipe) = BUF_INIT(KEY_PASSPHRASE_MAX + 2);
    return read_passphrase(config, &passphrase, err) && load_one(config->trust.audit_key, "audit_key", &passphrase, ret_audit, err);
}

static void close_folder(DIR **folder) {
    if (*folder != NULL)
        closedir(*folder);
}

/* A file that does not open is passed over, but said when nothing else fits. */
bool online_find(const struct server_config *config, const struct signers *signers, struct key **ret_key, struct err *err) {
    struct buf passphrase CLEANUP(buf_wipe) = BUF_INIT(KEY_PASSPHRASE_MAX + 2);
    if (config->trust.next_keys == NULL)
        return err_set(err, ERR_KEY, "root names another than the server has, and [trust] next_keys is not set");
    DIR *folder CLEANUP(close_folder) = opendir(config->trust.next_keys);
    if (folder == NULL)
        return err_errno(err, "[trust] next_keys: %s", config->trust.next_keys);
    if (!read_passphrase(config, &passphrase, err))
        return false;
    struct err why = {0};
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        struct arena arena CLEANUP(arena_clear);
        struct key *key CLEANUP(key_cleanup) = NULL;
        arena_init(&arena, 8192);
        const char *path = text_ends(entry->d_name, ".pem") ? arena_printf(&arena, "%s/%s", config->trust.next_keys, entry->d_name) : NULL;
        if (path == NULL || !key_load_private(path, passphrase.data, passphrase.len, &key, &why) || !signers_have(signers, key))
            continue;
        *ret_key = key;
        key = NULL;
        return true;
    }
    return err_set(err, ERR_KEY, "root names none of the keys in %s%s%s", config->trust.next_keys, why.code != ERR_NONE ? ": " : "", why.text);
}
