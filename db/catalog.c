#include "db/catalog.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/hex.h"
#include "db/query.h"
#include "db/release_row.h"
#include "db/store.h"

enum { SNAPSHOT_MAX_BYTES = 256 * 1024 * 1024 };

/* A release and its rule, found by a key. */
struct entry {
    const struct db_release *release;
    const struct fleet_release *rule;
};

struct snapshot {
    struct db_catalog catalog; /* first: the public part */
    atomic_size_t users;
    struct arena arena;
    size_t entry_count;
    struct entry *by_id;
    struct entry *by_path;
};

static struct snapshot *snapshot_of(const struct db_catalog *catalog) {
    return (struct snapshot *)(uintptr_t)catalog;
}

const struct db_catalog *db_catalog_get(struct db *db) {
    const struct db_catalog *catalog;

    pthread_mutex_lock(&db->catalog_mutex);
    catalog = db->catalog;
    atomic_fetch_add_explicit(&snapshot_of(catalog)->users, 1, memory_order_relaxed);
    pthread_mutex_unlock(&db->catalog_mutex);
    return catalog;
}

void db_catalog_put(const struct db_catalog *catalog) {
    struct snapshot *snapshot = snapshot_of(catalog);

    if (!snapshot || atomic_fetch_sub_explicit(&snapshot->users, 1, memory_order_acq_rel) != 1)
        return;
    arena_clear(&snapshot->arena);
    free(snapshot);
}

static int compare_line(const void *name, const void *line) {
    return strcmp(name, ((const struct db_catalog_line *)line)->product.name);
}

const struct db_catalog_line *db_catalog_find(const struct db_catalog *catalog, const char *product) {
    if (catalog->line_count == 0)
        return NULL;
    return bsearch(product, catalog->lines, catalog->line_count, sizeof *catalog->lines, compare_line);
}

static int compare_ids(const void *a, const void *b) {
    int64_t left = ((const struct entry *)a)->rule->id, right = ((const struct entry *)b)->rule->id;

    return (left > right) - (left < right);
}

static int compare_paths(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->release->path, ((const struct entry *)b)->release->path);
}

static const struct entry *find_id(const struct db_catalog *catalog, int64_t id) {
    const struct snapshot *snapshot = snapshot_of(catalog);
    const struct fleet_release rule = {.id = id};
    const struct entry wanted = {.rule = &rule};

    return snapshot->entry_count ? bsearch(&wanted, snapshot->by_id, snapshot->entry_count, sizeof wanted, compare_ids) : NULL;
}

const struct db_release *db_catalog_release(const struct db_catalog *catalog, int64_t id) {
    const struct entry *entry = find_id(catalog, id);

    return entry ? entry->release : NULL;
}

const struct fleet_release *db_catalog_rule(const struct db_catalog *catalog, int64_t id) {
    const struct entry *entry = find_id(catalog, id);

    return entry ? entry->rule : NULL;
}

const struct db_catalog_rollout *db_catalog_rollout(const struct db_catalog *catalog, int64_t id) {
    for (size_t i = 0; i < catalog->rollout_count; i++)
        if (catalog->rollouts[i].id == id)
            return &catalog->rollouts[i];
    return NULL;
}

const struct db_release *db_catalog_path(const struct db_catalog *catalog, const char *path) {
    const struct snapshot *snapshot = snapshot_of(catalog);
    const struct db_release release = {.path = path};
    const struct entry wanted = {.release = &release};
    const struct entry *entry = snapshot->entry_count ? bsearch(&wanted, snapshot->by_path, snapshot->entry_count, sizeof wanted, compare_paths)
                                                      : NULL;

    return entry ? entry->release : NULL;
}

static bool read_products(struct db_conn *conn, struct snapshot *snapshot, struct err *err) {
    struct arena *arena = &snapshot->arena;
    struct db_products page;
    size_t capacity = 0;
    struct db_catalog_line *lines = NULL, *grown;
    struct db_list list = {.limit = DB_MAX_PAGE};

    do {
        if (!db_product_list(conn, &list, arena, &page, err)) {
            free(lines);
            return false;
        }
        grown = page.count ? reallocarray(lines, capacity + page.count, sizeof *lines) : lines;
        if (page.count && !grown) {
            free(lines);
            return err_no_memory(err);
        }
        lines = grown;
        for (size_t i = 0; i < page.count; i++)
            lines[capacity++] = (struct db_catalog_line){.product = page.items[i]};
        list.after = page.next;
    } while (list.after);
    snapshot->catalog.line_count = capacity;
    snapshot->catalog.lines = capacity ? arena_memdup(arena, lines, capacity * sizeof *lines) : NULL;
    free(lines);
    return !capacity || snapshot->catalog.lines || err_no_memory(err);
}

/* The releases come sorted by product and sequence: each line takes its stretch. */
static bool share_out(struct snapshot *snapshot, struct db_release *releases, size_t count, struct err *err) {
    struct db_catalog *catalog = &snapshot->catalog;
    struct fleet_release *rules = arena_array(&snapshot->arena, count + 1, sizeof *rules);

    snapshot->by_id = arena_array(&snapshot->arena, count + 1, sizeof *snapshot->by_id);
    snapshot->by_path = arena_array(&snapshot->arena, count + 1, sizeof *snapshot->by_path);
    if (!rules || !snapshot->by_id || !snapshot->by_path)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        struct db_catalog_line *line = (struct db_catalog_line *)(uintptr_t)db_catalog_find(catalog, releases[i].product);

        if (!db_release_rule(&releases[i], &rules[i], err))
            return false;
        if (!line)
            return err_set(err, ERR_IO, "database: release %lld has no product", (long long)releases[i].id);
        if (line->release_count++ == 0) {
            line->releases = &releases[i];
            line->rules = &rules[i];
        }
        snapshot->by_id[i] = snapshot->by_path[i] = (struct entry){.release = &releases[i], .rule = &rules[i]};
    }
    snapshot->entry_count = count;
    qsort(snapshot->by_id, count, sizeof *snapshot->by_id, compare_ids);
    qsort(snapshot->by_path, count, sizeof *snapshot->by_path, compare_paths);
    return true;
}

static bool fill(struct db_conn *conn, struct snapshot *snapshot, struct err *err) {
    struct db_release *releases;
    size_t count;

    return read_products(conn, snapshot, err) && db_release_all(conn, &snapshot->arena, &releases, &count, err) &&
           share_out(snapshot, releases, count, err) && db_catalog_read_rollouts(conn, &snapshot->catalog, &snapshot->arena, err);
}

/* Reads it all and swaps the pointer; whoever holds the old one keeps it until he gives it back. */
static bool replace(struct db *db, struct err *err) {
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    const struct db_catalog *old;

    if (!snapshot)
        return err_no_memory(err);
    arena_init(&snapshot->arena, SNAPSHOT_MAX_BYTES);
    atomic_init(&snapshot->users, 1);
    if (!fill(db->conn, snapshot, err)) {
        db_catalog_put(&snapshot->catalog);
        return false;
    }
    pthread_mutex_lock(&db->catalog_mutex);
    old = db->catalog;
    snapshot->catalog.generation = old ? old->generation + 1 : 1;
    db->catalog = &snapshot->catalog;
    pthread_mutex_unlock(&db->catalog_mutex);
    db_catalog_put(old);
    return true;
}

/* The first of a group's hooks does the work for all. */
static void after_commit(struct db *db, void *arg, bool committed) {
    struct err err;

    (void)arg;
    if (!committed || !db->catalog_stale)
        return;
    db->catalog_stale = false;
    if (!replace(db, &err))
        db_writer_fail(db, &err); /* memory would disagree with the disk: a restart loads it anew */
}

bool db_catalog_touch(struct db_conn *tx, struct err *err) {
    db_conn_db(tx)->catalog_stale = true;
    return db_on_commit(tx, after_commit, NULL, err);
}

bool db_catalog_open(struct db *db, struct err *err) {
    return replace(db, err);
}

void db_catalog_close(struct db *db) {
    db_catalog_put(db->catalog);
    db->catalog = NULL;
}
