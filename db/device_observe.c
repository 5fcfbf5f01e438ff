/* The durable side of a poll: what a device says of itself for the first time, otherwise than before, or lower than before. */
#include <string.h>

#include "common/json.h"
#include "db/deployment_row.h"
#include "db/device.h"
#include "db/event.h"
#include "db/product.h"
#include "db/query.h"
#include "db/store.h"

enum { DETAIL_MAX_BYTES = 1024 };

static bool given(const char *text) {
    return text && text[0];
}

/* {"a":"…","b":"…"} of name and value pairs up to a NULL name; absent values are left out. */
struct pair {
    const char *name;
    const char *value;
};

static bool insert_event(struct db_conn *tx, int64_t now, const char *kind, const char *device, const struct pair *pairs, struct err *err) {
    CLEANUP(buf_free) struct buf detail = BUF_INIT(DETAIL_MAX_BYTES);
    const char *separator = "{";

    for (; pairs->name; pairs++) {
        if (!given(pairs->value))
            continue;
        buf_text(&detail, separator);
        json_write_text(&detail, pairs->name);
        buf_text(&detail, ":");
        json_write_text(&detail, pairs->value);
        separator = ",";
    }
    buf_text(&detail, separator[0] == '{' ? "{}" : "}");
    return buf_ok(&detail, "event", err) && db_event_insert(tx, now, kind, device, detail.data, err);
}

static bool note_fall(struct db_conn *tx, const struct db_device_hot *hot, int64_t sequence, const char *version, int64_t now, struct err *err) {
    CLEANUP(buf_free) struct buf from = BUF_INIT(32);
    CLEANUP(buf_free) struct buf to = BUF_INIT(32);

    buf_printf(&from, "%lld", (long long)hot->installed_sequence);
    buf_printf(&to, "%lld", (long long)sequence);
    return buf_ok(&from, "event", err) && buf_ok(&to, "event", err) &&
           insert_event(tx, now, "rolled-back", hot->id,
                        (struct pair[]){{"from_sequence", from.data},
                                        {"from_version", hot->installed_version},
                                        {"to_sequence", to.data},
                                        {"to_version", version},
                                        {NULL, NULL}},
                        err);
}

bool db_device_installed(struct db_conn *tx, const struct db_device_hot *hot, int64_t sequence, const char *version, bool unasked, int64_t now,
                         bool *ret_changed, struct err *err) {
    struct db_stmt *stmt;

    *ret_changed = !hot->installed_known || hot->installed_sequence != sequence || strcmp(hot->installed_version, version) != 0;
    if (!*ret_changed)
        return true;
    if (hot->installed_known && sequence < hot->installed_sequence && (!unasked || db_registry_may_tell(db_conn_db(tx), hot->id, true, now)) &&
        !note_fall(tx, hot, sequence, version, now, err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_DEVICE_SEEN_INSTALLED);
    db_query_text(stmt, 1, hot->id);
    db_query_opt_text(stmt, 2, version);
    db_query_int(stmt, 3, sequence);
    return db_query_run(stmt, NULL, err);
}

/* ERR_NONE and true also when there is nothing to fill. */
static bool fill(struct db_conn *tx, const struct db_device_hot *hot, const struct db_observation *seen, struct err *err) {
    const char *product = hot->product[0] ? NULL : seen->product;
    const char *hardware = hot->hardware[0] ? NULL : seen->hardware;
    struct db_stmt *stmt;

    if (!db_product_check(tx, product, err)) {
        if (err->code != ERR_NOT_FOUND)
            return false;
        err->code = ERR_NONE; /* no such product yet: it is asked again at the next poll */
        product = NULL;
    }
    if (!given(product) && !given(hardware))
        return true;
    stmt = db_query_begin(tx, DB_QUERY_DEVICE_FILL);
    db_query_text(stmt, 1, hot->id);
    db_query_opt_text(stmt, 2, product);
    db_query_opt_text(stmt, 3, hardware);
    return db_query_run(stmt, NULL, err);
}

static bool differs(const char *known, const char *told) {
    return known[0] && given(told) && strcmp(known, told) != 0;
}

static bool note_mismatch(struct db_conn *tx, const struct db_device_hot *hot, const struct db_observation *seen, int64_t now, struct err *err) {
    CLEANUP(buf_free) struct buf claim = BUF_INIT(2 * DB_ID_SIZE);
    struct db_stmt *stmt;
    int64_t changes;

    if (!differs(hot->product, seen->product) && !differs(hot->hardware, seen->hardware))
        return true;
    if (seen->unasked && !db_registry_may_tell(db_conn_db(tx), hot->id, false, now))
        return true;
    buf_printf(&claim, "%s %s", seen->product ? seen->product : "", seen->hardware ? seen->hardware : "");
    if (!buf_ok(&claim, "product and hardware", err))
        return false;
    stmt = db_query_begin(tx, DB_QUERY_DEVICE_MISMATCH);
    db_query_text(stmt, 1, hot->id);
    db_query_text(stmt, 2, claim.data);
    if (!db_query_run(stmt, &changes, err))
        return false;
    if (changes == 0)
        return true; /* told before */
    return insert_event(
        tx, now, "identity-mismatch", hot->id,
        (struct pair[]){
            {"product", hot->product}, {"told_product", seen->product}, {"hardware", hot->hardware}, {"told_hardware", seen->hardware}, {NULL, NULL}},
        err);
}

bool db_device_observe(struct db_conn *tx, const char *id, const struct db_observation *seen, int64_t now, struct err *err) {
    struct db_device_hot hot;
    bool installed = false;

    if (!db_registry_read(tx, id, &hot, err) || !fill(tx, &hot, seen, err) || !note_mismatch(tx, &hot, seen, now, err))
        return false;
    if (seen->sequence_known &&
        !db_device_installed(tx, &hot, seen->sequence, seen->version ? seen->version : hot.installed_version, seen->unasked, now, &installed, err))
        return false;
    return db_registry_touch(tx, id, installed, err);
}
