#include "server/readiness.h"

#include "common/file.h"

int64_t readiness_free_bytes(const struct server *server) {
    int64_t free_bytes;
    struct err ignored;
    return file_free_space(server->config.store.data, &free_bytes, &ignored) ? free_bytes : -1;
}

bool readiness_check(struct server *server, int64_t *ret_free_bytes, struct err *err) {
    int64_t needed = atomic_load(&server->live)->store.free_min;
    if (atomic_load(&server->draining))
        return err_set(err, ERR_BUSY, "the server is shutting down");
    if (atomic_load(&server->store_failed))
        return err_set(err, ERR_BUSY, "the store failed");
    int64_t free_bytes = readiness_free_bytes(server);
    if (free_bytes < 0)
        return err_set(err, ERR_BUSY, "the store's file system cannot be asked what is free");
    if (free_bytes < needed)
        return err_set(err, ERR_BUSY, "the store's file system has %lld bytes free, and %lld are to be ([store] free_min)", (long long)free_bytes,
                       (long long)needed);
    *ret_free_bytes = free_bytes;
    return true;
}
