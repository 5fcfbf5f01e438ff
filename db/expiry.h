/* When devices' certificates end: of each, the one that it showed last. Up to one flush of the registry behind. */
#ifndef PAWL_DB_EXPIRY_H
#define PAWL_DB_EXPIRY_H

#include "db/db.h"
#include "fleet/device.h"

struct db_expiry {
    const char *device;
    const char *product; /* "": unknown */
    enum fleet_device_state state;
    int64_t expires_at;
    int64_t last_seen; /* 0: never flushed */
};

struct db_expiries {
    size_t count;
    struct db_expiry *items;
    const char *next; /* where the next page begins; NULL: this is the last */
};

/* Pending and active devices' that end before `before`, the first to end first. product NULL or "": any. */
bool db_expiry_list(struct db_conn *conn, int64_t before, const char *product, const struct db_list *list, struct arena *arena,
                    struct db_expiries *ret_page, struct err *err) MUST_USE;

/* Of pending and active devices, those that end from `from` to before `before`. */
bool db_expiry_count(struct db_conn *conn, int64_t from, int64_t before, int64_t *ret_count, struct err *err) MUST_USE;

/* Raises "certificate-expiring" for up to `limit` active devices whose certificate ends before `before`, once for each certificate. */
bool db_expiry_tell(struct db_conn *tx, int64_t before, size_t limit, int64_t now, size_t *ret_told, struct err *err) MUST_USE;

#endif
