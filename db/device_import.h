/* Devices as an import brings them: made when they are new, else changed where they differ. Applying the same row again changes nothing. */
#ifndef PAWL_DB_DEVICE_IMPORT_H
#define PAWL_DB_DEVICE_IMPORT_H

#include "common/json.h"
#include "db/device.h"

struct db_device_row {
    const char *id;
    const char *product;  /* NULL: not given */
    const char *hardware; /* NULL: not given */
    const uint8_t *pin;   /* NULL: not given; an existing device's key is never replaced */
    bool has_tags;
    struct db_texts tags;       /* the whole set */
    struct json_map attributes; /* merged; a NULL value takes one away */
};

enum db_import_effect { DB_IMPORT_UNCHANGED = 0, DB_IMPORT_CREATED, DB_IMPORT_UPDATED };

/* What the row would do now, without doing it. ERR_NOT_FOUND (no such product), ERR_CONFLICT (key, product), ERR_INVALID (attributes too long). */
bool db_device_import_check(struct db_conn *conn, const struct db_device_row *row, enum db_import_effect *ret_effect, struct err *err) MUST_USE;

/* Does it, as db_device_insert() or db_device_update() would. */
bool db_device_import(struct db_conn *tx, const struct db_device_row *row, int64_t now, struct err *err) MUST_USE;

#endif
