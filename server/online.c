#include "server/online.h"

#include "common/file.h"

static bool load_one(const char *path, const char *what, const struct buf *passphrase, struct key **ret_key, struct err *err) {
    if (path == NULL)
        return err_set(err, ERR_CONFIG, "[trust] %s is not set", what);
    return key_load_private(path, passphrase->data, passphrase->len, ret_key, err) ? true : err_prefix(err, "[trust] %s", what);
}

bool online_load(const struct server_config *config, struct key **ret_timestamp, struct key **ret_directive, struct err *err) {
    struct buf passphrase CLEANUP(buf_wipe) = BUF_INIT(KEY_PASSPHRASE_MAX + 2);
    struct key *timestamp CLEANUP(key_cleanup) = NULL;
    if (config->trust.passphrase_file == NULL)
        return err_set(err, ERR_CONFIG, "[trust] passphrase_file is not set");
    if (!file_read_secret(config->trust.passphrase_file, &passphrase, err))
        return err_prefix(err, "[trust] passphrase_file");
    while (passphrase.len > 0 && (passphrase.data[passphrase.len - 1] == '\n' || passphrase.data[passphrase.len - 1] == '\r'))
        passphrase.len--;
    if (!load_one(config->trust.timestamp_key, "timestamp_key", &passphrase, &timestamp, err) ||
        !load_one(config->trust.directive_key, "directive_key", &passphrase, ret_directive, err))
        return false;
    *ret_timestamp = timestamp;
    timestamp = NULL;
    return true;
}
