/* A store in a temporary folder for the tests of db/, with short names for what every test needs. */
#ifndef PAWL_TESTS_UNIT_DB_FIXTURE_H
#define PAWL_TESTS_UNIT_DB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/hex.h"
#include "db/audit.h"
#include "db/catalog.h"
#include "db/deployment.h"
#include "db/device.h"
#include "db/event.h"
#include "db/idempotency.h"
#include "db/image.h"
#include "db/metadata.h"
#include "db/offer.h"
#include "db/product.h"
#include "db/registry.h"
#include "db/release.h"
#include "db/report.h"
#include "db/token.h"
#include "tests/unit/temporary.h"

enum { NOW = 1800000000 };

struct store {
    char folder[TEMPORARY_SIZE];
    struct db *db;
    struct db_conn *reader;
    struct arena arena;
    int fatal_count;
};

#define assert_ok(call, err)                                                                                                                         \
    do {                                                                                                                                             \
        if (!(call))                                                                                                                                 \
            fail_msg("%s: %s", #call, (err).text);                                                                                                   \
    } while (0)

/* The first page of a list in its own order, and the one behind. */
#define PAGE(count)                 (&(struct db_list){.limit = (count)})
#define PAGE_AFTER(position, count) (&(struct db_list){.after = (position), .limit = (count)})

#define assert_fails(call, err, expected)                                                                                                            \
    do {                                                                                                                                             \
        if (call)                                                                                                                                    \
            fail_msg("%s succeeded", #call);                                                                                                         \
        if ((err).code != (expected))                                                                                                                \
            fail_msg("%s: %s where %s was expected: %s", #call, err_slug((err).code), err_slug(expected), (err).text);                               \
    } while (0)

UNUSED static void store_fatal(void *context, const struct err *err) {
    (void)err;
    ((struct store *)context)->fatal_count++;
}

UNUSED static void store_reopen(struct store *store) {
    struct db_options options = {.folder = store->folder, .fatal = store_fatal, .fatal_context = store};
    struct err err;

    assert_ok(db_open(&options, &store->db, &err), err);
    assert_ok(db_reader_open(store->db, &store->reader, &err), err);
}

UNUSED static void store_shut(struct store *store) {
    db_reader_close(store->reader);
    db_close(store->db);
    store->reader = NULL;
    store->db = NULL;
}

UNUSED static void store_copy_file(const struct store *store, const char *from, const char *to) {
    CLEANUP(buf_free) struct buf data = BUF_INIT(64 << 20);
    char path[PATH_MAX];
    struct err err;

    snprintf(path, sizeof path, "%s/%s", store->folder, from);
    assert_ok(file_read(path, &data, &err), err);
    snprintf(path, sizeof path, "%s/%s", store->folder, to);
    assert_ok(file_write_atomic(path, data.data, data.len, 0600, &err), err);
}

/* Keeps the database as it is now, for store_restore(). The images are not kept. */
UNUSED static void store_keep(struct store *store) {
    store_shut(store);
    store_copy_file(store, "pawl.db", "kept");
    store_reopen(store);
}

UNUSED static void store_restore(struct store *store) {
    store_shut(store);
    store_copy_file(store, "kept", "pawl.db");
    store_reopen(store);
}

UNUSED static int store_setup(void **state) {
    struct store *store = calloc(1, sizeof *store);

    assert_non_null(store);
    temporary_folder(store->folder);
    arena_init(&store->arena, 64 << 20);
    store_reopen(store);
    *state = store;
    return 0;
}

UNUSED static int store_teardown(void **state) {
    struct store *store = *state;

    store_shut(store);
    temporary_remove(store->folder);
    arena_clear(&store->arena);
    free(store);
    return 0;
}

UNUSED static size_t count_files(const struct store *store, const char *folder) {
    char path[PATH_MAX];
    DIR *dir;
    const struct dirent *item;
    size_t count = 0;

    snprintf(path, sizeof path, "%s/%s", store->folder, folder);
    dir = opendir(path);
    assert_non_null(dir);
    while ((item = readdir(dir)))
        count += item->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* A job out of a block of statements: WRITE(store, bool ok, { … }) would need closures; so each operation gets a small struct instead. */
struct write_args {
    const char *text;
    const char *text2;
    const void *object;
    int64_t number;
    int64_t number2;
    int64_t result;
    void *out;
};

#define WRITE(store, run, args, err) db_write((store)->db, (run), (args), (err))

UNUSED static bool run_product(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;
    const struct db_product product = {.name = args->text, .description = "a product", .policy = (enum fleet_policy)args->number, .created_at = NOW};

    return db_product_insert(tx, &product, err);
}

UNUSED static void make_product(struct store *store, const char *name, enum fleet_policy policy) {
    struct write_args args = {.text = name, .number = policy};
    struct err err;

    assert_ok(WRITE(store, run_product, &args, &err), err);
}

UNUSED static bool run_device(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_device_insert(tx, args->object, NOW, err);
}

UNUSED static void make_device(struct store *store, const char *id, const char *product, const char *hardware) {
    struct db_device_new device = {.id = id, .state = FLEET_DEVICE_ACTIVE, .product = product, .hardware = hardware};
    struct write_args args = {.object = &device};
    struct err err;

    assert_ok(WRITE(store, run_device, &args, &err), err);
}

struct image_args {
    struct db_image_upload *upload;
    struct db_image image;
    bool created;
};

UNUSED static bool run_image(struct db_conn *tx, void *arg, struct err *err) {
    struct image_args *args = arg;
    struct db_image_upload *upload = args->upload;

    return db_image_finish_take(tx, upload, NOW, &args->image, &args->created, err);
}

/* Uploads the text as an image; its hash into ret_sha256. */
UNUSED static void make_image(struct store *store, const char *text, char ret_sha256[DB_SHA256_SIZE]) {
    struct image_args args = {.upload = NULL};
    struct err err;

    assert_ok(hash_sha256_hex(text, strlen(text), ret_sha256, &err), err);
    assert_ok(db_image_begin(store->db, ret_sha256, (int64_t)strlen(text), &args.upload, &err), err);
    assert_ok(db_image_write(args.upload, text, strlen(text), &err), err);
    assert_ok(WRITE(store, run_image, &args, &err), err);
}

UNUSED static bool run_release(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_release_insert(tx, args->object, &args->result, err);
}

/* A release whose image is its own path, for the hardware "board". */
UNUSED static struct db_release release_of(struct store *store, const char *product, int sequence) {
    static const char *hardware[] = {"board"};
    struct db_release release = {
        .product = product, .sequence = sequence, .security_version = 1, .encryption = "none", .notes = "", .published_at = NOW};

    release.hardware = (struct db_texts){.count = 1, .items = hardware};
    release.version = arena_printf(&store->arena, "1.%d.0", sequence);
    release.path = arena_printf(&store->arena, "%s/1.%d.0/image.bin", product, sequence);
    release.sha256 = arena_alloc(&store->arena, DB_SHA256_SIZE);
    make_image(store, release.path, (char *)(uintptr_t)release.sha256);
    release.length = (int64_t)strlen(release.path);
    return release;
}

UNUSED static int64_t make_release(struct store *store, const char *product, int sequence) {
    struct db_release release = release_of(store, product, sequence);
    struct write_args args = {.object = &release};
    struct err err;

    assert_ok(WRITE(store, run_release, &args, &err), err);
    return args.result;
}

UNUSED static bool run_assign(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_deployment_assign(tx, args->text, args->number, NOW, &args->result, err);
}

UNUSED static int64_t assign(struct store *store, const char *device, int64_t release) {
    struct write_args args = {.text = device, .number = release};
    struct err err;

    assert_ok(WRITE(store, run_assign, &args, &err), err);
    return args.result;
}

UNUSED static bool run_offer(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_deployment_offer(tx, args->text, NOW, args->out, err);
}

UNUSED static struct db_offered offer(struct store *store, const char *device) {
    struct db_offered offered = {.deployment = 0};
    struct write_args args = {.text = device, .out = &offered};
    struct err err;

    assert_ok(WRITE(store, run_offer, &args, &err), err);
    return offered;
}

UNUSED static bool run_report(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_deployment_report(tx, args->text, args->object, NOW, args->out, err);
}

UNUSED static struct db_report_new report_of(int64_t deployment, int64_t number, enum fleet_event event, int64_t installed) {
    return (struct db_report_new){.deployment = deployment,
                                  .report_seq = number,
                                  .event = event,
                                  .progress = -1,
                                  .installed_known = installed > 0,
                                  .installed_sequence = installed,
                                  .installed_version = installed > 0 ? "1.0.0" : NULL};
}

UNUSED static bool report(struct store *store, const char *device, const struct db_report_new *report, struct db_reported *ret_reported,
                          struct err *err) {
    struct write_args args = {.text = device, .object = report, .out = ret_reported};

    return WRITE(store, run_report, &args, err);
}

UNUSED static struct db_device_hot hot_of(struct store *store, const char *id) {
    struct db_device_hot hot;

    assert_true(db_registry_get(store->db, id, &hot));
    return hot;
}

UNUSED static struct db_device device_of(struct store *store, const char *id) {
    struct db_device device;
    struct err err;

    assert_ok(db_device_get(store->reader, id, &store->arena, &device, &err), err);
    return device;
}

UNUSED static size_t events_of(struct store *store, const char *kind, const char *device) {
    struct db_event_filter filter = {.kind = kind, .device = device};
    struct db_events page;
    struct err err;

    assert_ok(db_event_list(store->reader, &filter, PAGE(DB_MAX_PAGE), &store->arena, &page, &err), err);
    return page.count;
}

/* Offers, reports everything up to `last`, and says what runs. */
UNUSED static int64_t bring_to(struct store *store, const char *device, int64_t sequence) {
    struct db_offered offered = offer(store, device);
    struct db_report_new last = report_of(offered.deployment, 1, FLEET_REPORT_CONFIRMED, sequence);
    struct db_reported reported;
    struct err err;

    assert_int_equal(offered.reason, FLEET_REASON_OFFERED);
    assert_ok(report(store, device, &last, &reported, &err), err);
    assert_int_equal(reported.state, FLEET_CONFIRMED);
    return offered.deployment;
}

#endif
