#include "db/certificate.h"

#include "db/list.h"
#include "db/query.h"

static const struct db_column columns[] = {
    DB_COLUMN(DB_INT, struct db_certificate, id),
    DB_COLUMN(DB_TEXT, struct db_certificate, serial),
    DB_COLUMN(DB_TEXT, struct db_certificate, device),
    DB_COLUMN(DB_TEXT, struct db_certificate, product),
    DB_COLUMN(DB_FIXED, struct db_certificate, spki_sha256),
    DB_COLUMN(DB_FIXED, struct db_certificate, issuer_sha256),
    DB_COLUMN(DB_TEXT, struct db_certificate, way),
    DB_COLUMN(DB_BLOB, struct db_certificate, data),
    DB_COLUMN_AS(DB_LEN, struct db_certificate, data_len, "data"),
    DB_COLUMN(DB_INT, struct db_certificate, not_before),
    DB_COLUMN(DB_INT, struct db_certificate, not_after),
    DB_COLUMN(DB_INT, struct db_certificate, issued_at),
    DB_COLUMN(DB_INT, struct db_certificate, revoked_at),
};
static const struct db_shape shape = DB_SHAPE(struct db_certificate, columns);

bool db_certificate_get(struct db_conn *conn, const char *serial, struct arena *arena, struct db_certificate *ret_certificate, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_CERTIFICATE_GET);

    db_query_text(stmt, 1, serial);
    return db_query_one(stmt, &shape, arena, ret_certificate, "certificate", serial, err);
}

bool db_certificate_newest(struct db_conn *conn, const char *device, const uint8_t spki_sha256[DB_PIN_SIZE], struct arena *arena,
                           struct db_certificate *ret_certificate, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_CERTIFICATE_NEWEST);

    db_query_text(stmt, 1, device);
    db_query_blob(stmt, 2, spki_sha256, DB_PIN_SIZE);
    return db_query_one(stmt, &shape, arena, ret_certificate, "certificate of device", device, err);
}

bool db_certificate_list(struct db_conn *conn, const struct db_certificate_filter *filter, const struct db_list *list, struct arena *arena,
                         struct db_certificates *ret_page, struct err *err) {
    bool one = filter->device && filter->device[0];
    struct db_listing listing;

    if (!db_list_begin(conn, one ? DB_QUERY_CERTIFICATE_LIST_DEVICE : DB_QUERY_CERTIFICATE_LIST, list, &shape, arena, &listing, err))
        return false;
    db_query_opt_text(listing.stmt, 4, filter->device);
    db_query_opt_text(listing.stmt, 5, filter->product);
    db_query_opt_int(listing.stmt, 6, filter->expires_before != 0, filter->expires_before);
    db_query_int(listing.stmt, 7, filter->in_use);
    return db_list_page(&listing, &ret_page->items, &ret_page->count, &ret_page->next, err);
}

bool db_certificate_insert(struct db_conn *tx, const struct db_certificate *certificate, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_CERTIFICATE_INSERT);
    int64_t changes;

    db_query_text(stmt, 1, certificate->serial);
    db_query_text(stmt, 2, certificate->device);
    db_query_blob(stmt, 3, certificate->spki_sha256, DB_PIN_SIZE);
    db_query_blob(stmt, 4, certificate->issuer_sha256, DB_PIN_SIZE);
    db_query_text(stmt, 5, certificate->way);
    db_query_blob(stmt, 6, certificate->data, certificate->data_len);
    db_query_int(stmt, 7, certificate->not_before);
    db_query_int(stmt, 8, certificate->not_after);
    db_query_int(stmt, 9, certificate->issued_at);
    if (!db_query_run(stmt, &changes, err))
        return false;
    return changes == 1 || err_set(err, ERR_CONFLICT, "certificate '%s' exists", certificate->serial);
}

bool db_certificate_revoke(struct db_conn *tx, const char *serial, int64_t now, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_CERTIFICATE_REVOKE);
    int64_t changes;

    db_query_text(stmt, 1, serial);
    db_query_int(stmt, 2, now);
    if (!db_query_run(stmt, &changes, err))
        return false;
    return changes > 0 || err_set(err, ERR_CONFLICT, "certificate %s is revoked already", serial);
}

bool db_certificate_count(struct db_conn *conn, const char *device, int64_t since, int64_t *ret_count, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_CERTIFICATE_COUNT);

    db_query_text(stmt, 1, device);
    db_query_int(stmt, 2, since);
    return db_query_number(stmt, "count", ret_count, err);
}

bool db_certificate_purge(struct db_conn *tx, int64_t before, size_t *ret_removed, struct err *err) {
    return db_query_purge(db_query_begin(tx, DB_QUERY_CERTIFICATE_PURGE), before, ret_removed, err);
}
