#include "agent/identity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"

enum { PATH_MAX_BYTES = 4096 };

bool agent_identity_path(const char *state, const char *name, struct buf *ret_path, struct err *err) {
    buf_printf(ret_path, "%s/identity/%s", state, name);
    return buf_ok(ret_path, "path of the identity", err);
}

bool agent_identity_open(const char *state, struct err *err) {
    CLEANUP(buf_free) struct buf folder = BUF_INIT(PATH_MAX_BYTES);
    return agent_identity_path(state, "", &folder, err) && file_make_dirs(folder.data, 0700, err) && file_sweep_temporaries(folder.data, err);
}

bool agent_identity_exists(const char *state, const char *name) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX_BYTES);
    struct err ignored;
    return agent_identity_path(state, name, &path, &ignored) && file_exists(path.data);
}

bool agent_identity_read(const char *state, const char *name, struct buf *ret_text, struct err *err) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX_BYTES);
    return agent_identity_path(state, name, &path, err) && file_read_secret(path.data, ret_text, err);
}

bool agent_identity_read_key(const char *state, struct buf *ret_key, struct err *err) {
    CLEANUP(buf_wipe) struct buf both = BUF_INIT(AGENT_IDENTITY_MAX);
    if (!agent_identity_read(state, AGENT_IDENTITY_CURRENT, &both, err))
        return false;
    const char *certificate = both.data != NULL ? strstr(both.data, "-----BEGIN CERTIFICATE-----") : NULL;
    if (certificate == NULL)
        return err_set(err, ERR_KEY, "%s/identity/%s: no certificate behind a key", state, AGENT_IDENTITY_CURRENT);
    buf_append(ret_key, both.data, (size_t)(certificate - both.data));
    return buf_ok(ret_key, "the key", err);
}

bool agent_identity_write(const char *state, const char *name, const struct buf *key, const struct buf *certificate, struct err *err) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX_BYTES);
    CLEANUP(buf_wipe) struct buf both = BUF_INIT(2 * AGENT_IDENTITY_MAX);
    buf_append(&both, key->data, key->len);
    if (certificate != NULL)
        buf_append(&both, certificate->data, certificate->len);
    return buf_ok(&both, "key and certificate", err) && agent_identity_path(state, name, &path, err) &&
           file_write_atomic(path.data, both.data, both.len, 0400, err);
}

bool agent_identity_take_next(const char *state, struct err *err) {
    CLEANUP(buf_free) struct buf next = BUF_INIT(PATH_MAX_BYTES);
    CLEANUP(buf_free) struct buf current = BUF_INIT(PATH_MAX_BYTES);
    if (!agent_identity_path(state, AGENT_IDENTITY_NEXT, &next, err) || !agent_identity_path(state, AGENT_IDENTITY_CURRENT, &current, err))
        return false;
    if (rename(next.data, current.data) != 0)
        return err_errno(err, "%s", current.data);
    return file_sync_parent(current.data, err);
}

bool agent_identity_drop(const char *state, const char *name, struct err *err) {
    CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX_BYTES);
    if (!agent_identity_path(state, name, &path, err))
        return false;
    if (unlink(path.data) != 0)
        return errno == ENOENT || err_errno(err, "%s", path.data);
    return file_sync_parent(path.data, err);
}
