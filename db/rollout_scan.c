#include "db/rollout_scan.h"

#include <stdio.h>
#include <string.h>

#include "db/attributes.h"
#include "db/offer.h"
#include "db/query.h"
#include "db/select.h"

enum { PAGE_ROWS = 1000, PAGE_MAX_BYTES = 64 << 20 };

struct device_row {
    const char *id;
    const char *attributes; /* NULL: not asked for */
};

struct tag_row {
    const char *device;
    const char *tag;
};

/* A page of devices and what the filter looks at. */
struct page {
    struct device_row *devices;
    size_t device_count;
    struct tag_row *tags; /* sorted by device */
    size_t tag_count;
    size_t tag_at; /* the merge is here */
};

struct scan {
    struct db_conn *conn;
    const struct db_rollout_target *target;
    bool (*take)(void *context, const struct db_rollout_candidate *candidate, struct err *err);
    void *context;
    unsigned needs;
    int64_t unknown;
    struct arena arena; /* of the page */
};

static const struct db_column attribute_columns[] = {
    DB_COLUMN(DB_TEXT, struct device_row, id),
    DB_COLUMN(DB_TEXT, struct device_row, attributes),
};
static const struct db_shape attribute_shape = DB_SHAPE(struct device_row, attribute_columns);

static const struct db_column id_columns[] = {DB_COLUMN(DB_TEXT, struct device_row, id)};
static const struct db_shape id_shape = DB_SHAPE(struct device_row, id_columns);

static const struct db_column tag_columns[] = {DB_COLUMN(DB_TEXT, struct tag_row, device), DB_COLUMN(DB_TEXT, struct tag_row, tag)};
static const struct db_shape tag_shape = DB_SHAPE(struct tag_row, tag_columns);

static bool read_tags(struct scan *scan, const char *first, const char *last, struct page *page, struct err *err) {
    struct db_stmt *stmt;

    if ((scan->needs & FLEET_FILTER_TAGS) == 0)
        return true;
    stmt = db_query_begin(scan->conn, DB_QUERY_ROLLOUT_SCAN_TAGS);
    db_query_text(stmt, 1, first);
    db_query_text(stmt, 2, last);
    page->tag_at = 0;
    return db_query_page(stmt, &tag_shape, SIZE_MAX, &scan->arena, &page->tags, &page->tag_count, NULL, err);
}

/* The page's tags are sorted as its devices are: each device takes its stretch. */
static bool take_tags(struct scan *scan, struct page *page, const char *id, struct fleet_filter_subject *subject, struct err *err) {
    size_t first, count = 0;
    const char **tags;

    while (page->tag_at < page->tag_count && strcmp(page->tags[page->tag_at].device, id) < 0)
        page->tag_at++;
    first = page->tag_at;
    while (first + count < page->tag_count && strcmp(page->tags[first + count].device, id) == 0)
        count++;
    if (count == 0)
        return true;
    tags = arena_array(&scan->arena, count, sizeof *tags);
    if (!tags)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        tags[i] = page->tags[first + i].tag;
    page->tag_at = first + count;
    subject->tags = tags;
    subject->tag_count = count;
    return true;
}

static bool look_at(struct scan *scan, struct page *page, const struct device_row *row, struct err *err) {
    const struct db_catalog_rollout *head = scan->target->head;
    struct fleet_filter_subject subject;
    struct db_rollout_candidate candidate = {.id = row->id};
    struct fleet_facts facts;
    struct db_device_hot hot;

    if (!db_registry_get(db_conn_db(scan->conn), row->id, &hot) || strcmp(hot.product, scan->target->product) != 0) {
        scan->unknown++;
        return true;
    }
    subject = db_select_subject(&hot);
    if (!take_tags(scan, page, row->id, &subject, err) ||
        ((scan->needs & FLEET_FILTER_ATTRIBUTES) != 0 && !db_attributes_show(row->attributes, &scan->arena, &subject, err)))
        return false;
    if (!fleet_filter_match(scan->target->filter, &subject))
        return true;
    candidate.number = hot.number;
    db_offer_facts(&hot, scan->target->catalog, &facts);
    candidate.reason = fleet_offer_check_fit(&facts, scan->target->rule);
    candidate.windows = head ? db_catalog_windows_for(head, subject.tags, subject.tag_count) : 0;
    return scan->take(scan->context, &candidate, err);
}

static bool look_at_page(struct scan *scan, struct page *page, struct err *err) {
    if (page->device_count == 0)
        return true;
    if (!read_tags(scan, page->devices[0].id, page->devices[page->device_count - 1].id, page, err))
        return false;
    for (size_t i = 0; i < page->device_count; i++)
        if (!look_at(scan, page, &page->devices[i], err))
            return false;
    return true;
}

static bool scan_product(struct scan *scan, struct err *err) {
    bool attributes = (scan->needs & FLEET_FILTER_ATTRIBUTES) != 0, more = true;
    char after[DB_DEVICE_ID_SIZE] = "";

    while (more) {
        struct db_stmt *stmt = db_query_begin(scan->conn, attributes ? DB_QUERY_ROLLOUT_SCAN_ATTRIBUTES : DB_QUERY_ROLLOUT_SCAN);
        struct page page = {.device_count = 0};

        arena_clear(&scan->arena);
        db_query_text(stmt, 1, scan->target->product);
        db_query_text(stmt, 2, after);
        db_query_int(stmt, 3, PAGE_ROWS + 1);
        if (!db_query_page(stmt, attributes ? &attribute_shape : &id_shape, PAGE_ROWS, &scan->arena, &page.devices, &page.device_count, &more, err) ||
            !look_at_page(scan, &page, err))
            return false;
        if (page.device_count > 0)
            snprintf(after, sizeof after, "%s", page.devices[page.device_count - 1].id);
    }
    return true;
}

static bool scan_one(struct scan *scan, const char *id, struct err *err) {
    struct db_stmt *stmt = db_query_begin(scan->conn, DB_QUERY_ROLLOUT_SCAN_DEVICE);
    struct page page = {.device_count = 0};
    struct device_row row;
    bool found;

    arena_clear(&scan->arena);
    db_query_text(stmt, 1, id);
    if (!db_query_maybe(stmt, &attribute_shape, &scan->arena, &row, &found, err))
        return false;
    if (!found) {
        scan->unknown++;
        return true;
    }
    page.devices = &row;
    page.device_count = 1;
    return look_at_page(scan, &page, err);
}

bool db_rollout_scan(struct db_conn *conn, const struct db_rollout_target *target,
                     bool (*take)(void *context, const struct db_rollout_candidate *candidate, struct err *err), void *context, int64_t *ret_unknown,
                     struct err *err) {
    struct scan scan = {.conn = conn, .target = target, .take = take, .context = context, .needs = fleet_filter_needs(target->filter)};
    bool ok = true;

    if (target->head && target->head->has_tagged_windows)
        scan.needs |= FLEET_FILTER_TAGS;
    arena_init(&scan.arena, PAGE_MAX_BYTES);
    if (!target->only)
        ok = scan_product(&scan, err);
    for (size_t i = 0; ok && target->only && i < target->only->count; i++)
        ok = scan_one(&scan, target->only->items[i], err);
    arena_clear(&scan.arena);
    if (ok && ret_unknown)
        *ret_unknown = scan.unknown;
    return ok;
}
