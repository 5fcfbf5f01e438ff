#include "db/release.h"

#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/hex.h"
#include "common/text.h"
#include "db/image.h"
#include "db/list.h"
#include "db/query.h"
#include "db/release_row.h"
#include "db/store.h"

static const struct db_column columns[] = {
    DB_COLUMN(DB_INT, struct db_release, id),
    DB_COLUMN(DB_TEXT, struct db_release, path),
    DB_COLUMN(DB_TEXT, struct db_release, product),
    DB_COLUMN(DB_TEXT, struct db_release, version),
    DB_COLUMN(DB_INT, struct db_release, sequence),
    DB_COLUMN(DB_INT, struct db_release, security_version),
    DB_COLUMN(DB_INT, struct db_release, requires_sequence),
    DB_COLUMN(DB_INT, struct db_release, length),
    DB_COLUMN(DB_TEXT, struct db_release, sha256),
    DB_COLUMN(DB_TEXT, struct db_release, sha1),
    DB_COLUMN(DB_TEXT, struct db_release, md5),
    DB_COLUMN(DB_TEXT, struct db_release, encryption),
    DB_COLUMN(DB_INT, struct db_release, plain_length),
    DB_COLUMN(DB_TEXT, struct db_release, plain_sha256),
    DB_COLUMN(DB_TEXT, struct db_release, notes),
    DB_COLUMN(DB_INT, struct db_release, signed_at),
    DB_COLUMN(DB_INT, struct db_release, published_at),
    DB_COLUMN(DB_INT, struct db_release, withdrawn_at),
    DB_COLUMN(DB_BOOL, struct db_release, has_signature),
};
static const struct db_shape shape = DB_SHAPE(struct db_release, columns);

static bool read_hardware(struct db_conn *conn, struct arena *arena, struct db_release *releases, size_t count, struct err *err) {
    for (size_t i = 0; i < count; i++) {
        struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_RELEASE_HARDWARE);

        db_query_int(stmt, 1, releases[i].id);
        if (!db_query_texts(stmt, arena, &releases[i].hardware, err))
            return false;
    }
    return true;
}

static bool read_one(struct db_conn *conn, struct db_stmt *stmt, const char *which, struct arena *arena, struct db_release *ret_release,
                     struct err *err) {
    struct db_release release;

    if (!db_query_one(stmt, &shape, arena, &release, "release", which, err) || !read_hardware(conn, arena, &release, 1, err))
        return false;
    *ret_release = release;
    return true;
}

bool db_release_get(struct db_conn *conn, int64_t id, struct arena *arena, struct db_release *ret_release, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_RELEASE_GET);
    char which[24];

    snprintf(which, sizeof which, "%lld", (long long)id);
    db_query_int(stmt, 1, id);
    return read_one(conn, stmt, which, arena, ret_release, err);
}

bool db_release_get_path(struct db_conn *conn, const char *path, struct arena *arena, struct db_release *ret_release, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_RELEASE_GET_PATH);

    db_query_text(stmt, 1, path);
    return read_one(conn, stmt, path, arena, ret_release, err);
}

bool db_release_get_version(struct db_conn *conn, const char *product, const char *version, struct arena *arena, struct db_release *ret_release,
                            struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_RELEASE_GET_VERSION);
    char which[DB_ID_SIZE + DB_VERSION_SIZE];

    snprintf(which, sizeof which, "%s/%s", product, version);
    db_query_text(stmt, 1, product);
    db_query_text(stmt, 2, version);
    return read_one(conn, stmt, which, arena, ret_release, err);
}

bool db_release_list(struct db_conn *conn, const char *product, const struct db_list *list, struct arena *arena, struct db_releases *ret_page,
                     struct err *err) {
    bool of_product = product && product[0];
    struct db_releases page = {.count = 0};
    struct db_listing listing;

    if (!db_list_begin(conn, of_product ? DB_QUERY_RELEASE_LIST_PRODUCT : DB_QUERY_RELEASE_LIST, list, &shape, arena, &listing, err))
        return false;
    if (of_product)
        db_query_text(listing.stmt, 4, product);
    if (!db_list_page(&listing, &page.items, &page.count, &page.next, err) || !read_hardware(conn, arena, page.items, page.count, err))
        return false;
    *ret_page = page;
    return true;
}

bool db_release_all(struct db_conn *conn, struct arena *arena, struct db_release **ret_items, size_t *ret_count, struct err *err) {
    return db_query_page(db_query_begin(conn, DB_QUERY_RELEASE_ALL), &shape, SIZE_MAX, arena, ret_items, ret_count, NULL, err) &&
           read_hardware(conn, arena, *ret_items, *ret_count, err);
}

bool db_release_rule(const struct db_release *release, struct fleet_release *ret_rule, struct err *err) {
    struct fleet_release rule = {.id = release->id,
                                 .product = release->product,
                                 .sequence = release->sequence,
                                 .security_version = release->security_version,
                                 .requires_sequence = release->requires_sequence,
                                 .hardware = release->hardware.items,
                                 .hardware_count = release->hardware.count,
                                 .withdrawn = release->withdrawn_at != 0,
                                 .sealed = strcmp(release->encryption, "none") != 0};

    if (!hex_is_digest(release->sha256) || !hex_decode(release->sha256, 64, rule.sha256))
        return err_set_field(err, ERR_INVALID, "sha256", "release %s: the image's SHA-256 is not 64 hex digits", release->path);
    *ret_rule = rule;
    return true;
}

/* The order rule, against every release that the product ever had, withdrawn ones included. */
static bool check_order(struct db_conn *tx, const struct db_release *release, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_RELEASE_HIGHEST);
    int64_t sequence = 0, security_version = 0;
    struct fleet_release rule;
    enum fleet_reason reason;
    bool row;

    db_query_text(stmt, 1, release->product);
    if (!db_release_rule(release, &rule, err) || !db_query_next(stmt, &row, err))
        return false;
    if (row) {
        sequence = db_query_column_int(stmt, "sequence");
        security_version = db_query_column_int(stmt, "security_version");
    }
    db_query_end(stmt);
    reason = fleet_offer_check_publish(sequence, security_version, &rule);
    if (reason == FLEET_REASON_BELOW_FLOOR)
        return err_set_field(err, ERR_DOWNGRADE, "sequence", "release %s: sequence %lld is not above %lld, the highest published for product '%s'",
                             release->path, (long long)release->sequence, (long long)sequence, release->product);
    if (reason != FLEET_REASON_OFFERED)
        return err_set_field(err, ERR_DOWNGRADE, "security_version",
                             "release %s: security_version %lld is below %lld, the highest published for product '%s'", release->path,
                             (long long)release->security_version, (long long)security_version, release->product);
    return true;
}

static bool check_image(struct db_conn *tx, const struct db_release *release, struct err *err) {
    CLEANUP(file_close) int file = -1;
    struct db_image image;
    int64_t size;

    if (!db_image_get(tx, release->sha256, &image, err))
        return false;
    if (image.length != release->length)
        return err_set_field(err, ERR_LENGTH, "length", "release %s: length %lld where the image has %lld bytes", release->path,
                             (long long)release->length, (long long)image.length);
    if (!db_image_open(db_conn_db(tx), release->sha256, &file, &size, err))
        return false;
    if (size != image.length)
        return err_set(err, ERR_IO, "image %s: %lld bytes are on the disk, not %lld; upload it again", release->sha256, (long long)size,
                       (long long)image.length);
    return true;
}

static bool insert_row(struct db_conn *tx, const struct db_release *release, int64_t *ret_id, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_RELEASE_INSERT);

    db_query_text(stmt, 1, release->path);
    db_query_text(stmt, 2, release->product);
    db_query_text(stmt, 3, release->version);
    db_query_int(stmt, 4, release->sequence);
    db_query_int(stmt, 5, release->security_version);
    db_query_opt_int(stmt, 6, release->requires_sequence > 0, release->requires_sequence);
    db_query_text(stmt, 7, release->sha256);
    db_query_int(stmt, 8, release->length);
    db_query_text(stmt, 9, release->encryption && release->encryption[0] ? release->encryption : "none");
    db_query_opt_int(stmt, 10, release->plain_length > 0, release->plain_length);
    db_query_opt_text(stmt, 11, release->plain_sha256);
    db_query_text(stmt, 12, release->notes ? release->notes : "");
    db_query_int(stmt, 13, release->signed_at);
    db_query_int(stmt, 14, release->published_at);
    *ret_id = 0;
    if (!db_query_number(stmt, "id", ret_id, err))
        return false;
    return *ret_id != 0 || err_set(err, ERR_CONFLICT, "release %s: this path or version exists", release->path);
}

bool db_release_insert(struct db_conn *tx, const struct db_release *release, int64_t *ret_id, struct err *err) {
    int64_t id;

    if (!db_product_check(tx, release->product, err) || !check_image(tx, release, err) || !check_order(tx, release, err) ||
        !insert_row(tx, release, &id, err))
        return false;
    for (size_t i = 0; i < release->hardware.count; i++) {
        struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_RELEASE_HARDWARE_INSERT);

        db_query_int(stmt, 1, id);
        db_query_int(stmt, 2, (int64_t)i);
        db_query_text(stmt, 3, release->hardware.items[i]);
        if (!db_query_run(stmt, NULL, err))
            return false;
    }
    *ret_id = id;
    return db_catalog_touch(tx, err);
}

bool db_release_withdraw(struct db_conn *tx, int64_t id, int64_t now, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_RELEASE_WITHDRAW);
    CLEANUP(arena_clear) struct arena arena;
    struct db_release release;
    int64_t changes;

    arena_init(&arena, 1 << 20);
    db_query_int(stmt, 1, id);
    db_query_int(stmt, 2, now);
    if (!db_query_run(stmt, &changes, err))
        return false;
    if (changes == 1)
        return db_catalog_touch(tx, err);
    return db_release_get(tx, id, &arena, &release, err) && err_set(err, ERR_CONFLICT, "release %lld is withdrawn already", (long long)id);
}
