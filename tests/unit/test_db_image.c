/* Uploads that end well, and every way in which they do not: no file is left, no row is written. */
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/db_fixture.h"

static struct db_image_upload *begin(struct store *store, const char *sha256, int64_t length) {
    struct db_image_upload *upload;
    struct err err;

    assert_ok(db_image_begin(store->db, sha256, length, &upload, &err), err);
    return upload;
}

static void hash_of(const char *text, char ret_sha256[DB_SHA256_SIZE]) {
    struct err err;

    assert_ok(hash_sha256_hex(text, strlen(text), ret_sha256, &err), err);
}

static void assert_nothing_stored(struct store *store, const char *sha256) {
    struct db_image image;
    struct err err;

    assert_fails(db_image_get(store->reader, sha256, &image, &err), err, ERR_NOT_FOUND);
    assert_int_equal(count_files(store, "tmp"), 0);
    assert_int_equal(count_files(store, "images"), 0);
}

static void test_upload(void **state) {
    struct store *store = *state;
    char sha256[DB_SHA256_SIZE], read_back[8];
    struct image_args args = {.upload = NULL};
    int64_t size;
    int fd;
    struct err err;

    hash_of("abc", sha256);
    args.upload = begin(store, sha256, 3);
    assert_ok(db_image_write(args.upload, "a", 1, &err), err);
    assert_ok(db_image_write(args.upload, "bc", 2, &err), err);
    assert_int_equal(count_files(store, "tmp"), 1);
    assert_ok(WRITE(store, run_image, &args, &err), err);
    assert_true(args.created);
    assert_int_equal(args.image.length, 3);
    assert_string_equal(args.image.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_string_equal(args.image.md5, "900150983cd24fb0d6963f7d28e17f72");
    assert_int_equal(count_files(store, "tmp"), 0);
    assert_ok(db_image_open(store->db, sha256, &fd, &size, &err), err);
    assert_int_equal(size, 3);
    assert_int_equal(read(fd, read_back, sizeof read_back), 3);
    assert_memory_equal(read_back, "abc", 3);
    close(fd);
}

static void test_again(void **state) {
    struct store *store = *state;
    char sha256[DB_SHA256_SIZE], path[256];
    struct image_args args = {.upload = NULL};
    FILE *file;
    int64_t size;
    int fd;
    struct err err;

    make_image(store, "abc", sha256);
    /* The file was damaged meanwhile: uploading again heals it. */
    snprintf(path, sizeof path, "%s/images/%s", store->folder, sha256);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs("rubbish", file);
    fclose(file);
    args.upload = begin(store, sha256, 3);
    assert_ok(db_image_write(args.upload, "abc", 3, &err), err);
    assert_ok(WRITE(store, run_image, &args, &err), err);
    assert_false(args.created);
    assert_ok(db_image_open(store->db, sha256, &fd, &size, &err), err);
    assert_int_equal(size, 3);
    close(fd);
    assert_int_equal(count_files(store, "images"), 1);
}

static void test_truncated(void **state) {
    struct store *store = *state;
    char sha256[DB_SHA256_SIZE];
    struct image_args args = {.upload = NULL};
    struct err err;

    hash_of("abcdef", sha256);
    args.upload = begin(store, sha256, 6);
    assert_ok(db_image_write(args.upload, "abc", 3, &err), err);
    assert_fails(WRITE(store, run_image, &args, &err), err, ERR_LENGTH);
    assert_nothing_stored(store, sha256);
}

static void test_wrong_hash(void **state) {
    struct store *store = *state;
    char sha256[DB_SHA256_SIZE];
    struct image_args args = {.upload = NULL};
    struct err err;

    hash_of("abcdef", sha256);
    args.upload = begin(store, sha256, 6);
    assert_ok(db_image_write(args.upload, "abcdeF", 6, &err), err);
    assert_fails(WRITE(store, run_image, &args, &err), err, ERR_HASH);
    assert_nothing_stored(store, sha256);
}

static void test_too_long(void **state) {
    struct store *store = *state;
    struct db_image_upload *upload;
    char sha256[DB_SHA256_SIZE];
    struct err err;

    hash_of("abc", sha256);
    upload = begin(store, sha256, 3);
    assert_ok(db_image_write(upload, "ab", 2, &err), err);
    assert_fails(db_image_write(upload, "cd", 2, &err), err, ERR_LENGTH);
    db_image_abort(upload);
    assert_nothing_stored(store, sha256);
}

static void test_aborted(void **state) {
    struct store *store = *state;
    struct db_image_upload *upload;
    char sha256[DB_SHA256_SIZE];
    struct err err;

    hash_of("abc", sha256);
    upload = begin(store, sha256, 3);
    assert_ok(db_image_write(upload, "ab", 2, &err), err);
    db_image_abort(upload);
    db_image_abort(NULL);
    assert_nothing_stored(store, sha256);
}

static void test_names(void **state) {
    static const char *const bad[] = {"", "abc", "../../../../etc/passwd", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"};
    struct store *store = *state;
    struct db_image_upload *upload;
    int64_t size;
    int fd;
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_fails(db_image_begin(store->db, bad[i], 3, &upload, &err), err, ERR_INVALID);
        assert_fails(db_image_open(store->db, bad[i], &fd, &size, &err), err, ERR_IO);
    }
    assert_int_equal(count_files(store, "tmp"), 0);
}

static void test_no_room(void **state) {
    struct store *store = *state;
    struct db_image_upload *upload;
    char sha256[DB_SHA256_SIZE];
    struct err err;

    hash_of("abc", sha256);
    if (db_image_begin(store->db, sha256, INT64_C(1) << 60, &upload, &err)) {
        db_image_abort(upload); /* a file system that reserves nothing */
        skip();
    }
    assert_true(err.code == ERR_NO_SPACE || err.code == ERR_IO);
    assert_nothing_stored(store, sha256);
}

static void test_missing_file(void **state) {
    struct store *store = *state;
    char sha256[DB_SHA256_SIZE], path[256];
    int64_t size;
    int fd;
    struct err err;

    make_image(store, "abc", sha256);
    snprintf(path, sizeof path, "%s/images/%s", store->folder, sha256);
    assert_int_equal(unlink(path), 0);
    assert_fails(db_image_open(store->db, sha256, &fd, &size, &err), err, ERR_IO);
}

/* A crash between the file and the row, and in the middle of an upload. */
static void test_start_cleans(void **state) {
    struct store *store = *state;
    char kept[DB_SHA256_SIZE], path[256];
    static const char *const strays[] = {"images/0000000000000000000000000000000000000000000000000000000000000000", "tmp/half"};

    make_image(store, "abc", kept);
    store_shut(store);
    for (size_t i = 0; i < ARRAY_LEN(strays); i++) {
        int fd;

        snprintf(path, sizeof path, "%s/%s", store->folder, strays[i]);
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    store_reopen(store);
    assert_int_equal(count_files(store, "tmp"), 0);
    assert_int_equal(count_files(store, "images"), 1);
    snprintf(path, sizeof path, "%s/images/%s", store->folder, kept);
    assert_int_equal(access(path, R_OK), 0);
}

/* To a new database every image would be an orphan: whoever lost the file must not lose the images with it. */
static void test_lost_database(void **state) {
    struct store *store = *state;
    struct db_options options = {.folder = store->folder};
    char sha256[DB_SHA256_SIZE], path[256], aside[256];
    struct err err = {0};
    struct db *db;

    make_image(store, "abc", sha256);
    store_shut(store);
    snprintf(path, sizeof path, "%s/pawl.db", store->folder);
    snprintf(aside, sizeof aside, "%s/aside", store->folder);
    assert_int_equal(rename(path, aside), 0);
    assert_fails(db_open(&options, &db, &err), err, ERR_IO);
    assert_non_null(strstr(err.text, "pawl.db is not there"));
    assert_int_equal(count_files(store, "images"), 1);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rename(aside, path), 0);
    store_reopen(store);
    assert_int_equal(count_files(store, "images"), 1);
}

static bool run_collect(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_image_collect(tx, args->number, args->out, err);
}

static bool run_signature(struct db_conn *tx, void *arg, struct err *err) {
    struct write_args *args = arg;

    return db_image_signature_set(tx, args->text, "signature", 9, err);
}

static void test_collect(void **state) {
    struct store *store = *state;
    char forgotten[DB_SHA256_SIZE];
    struct db_image image;
    size_t removed = 99;
    struct write_args args = {.number = NOW + 24 * 3600, .out = &removed}, signature = {.text = forgotten};
    struct err err;

    make_product(store, "hub", FLEET_POLICY_LATEST);
    make_release(store, "hub", 1);
    make_image(store, "nobody names me", forgotten);
    assert_ok(WRITE(store, run_signature, &signature, &err), err);
    assert_ok(WRITE(store, run_collect, &args, &err), err);
    assert_int_equal(removed, 0); /* not yet a day old */
    args.number++;
    assert_ok(WRITE(store, run_collect, &args, &err), err);
    assert_int_equal(removed, 1);
    assert_int_equal(count_files(store, "images"), 1);
    assert_fails(db_image_get(store->reader, forgotten, &image, &err), err, ERR_NOT_FOUND);
}

/* Both in one group: the collector's file is the new upload's by then. */
static bool run_collect_and_upload(struct db_conn *tx, void *arg, struct err *err) {
    struct image_args *args = arg;
    size_t removed;

    return db_image_collect(tx, NOW + 3 * 86400, &removed, err) && removed == 1 && run_image(tx, args, err);
}

static void test_collected_and_uploaded_again(void **state) {
    struct store *store = *state;
    struct image_args args = {.upload = NULL};
    char sha256[DB_SHA256_SIZE];
    int64_t size;
    int fd;
    struct err err;

    make_image(store, "abc", sha256);
    args.upload = begin(store, sha256, 3);
    assert_ok(db_image_write(args.upload, "abc", 3, &err), err);
    assert_ok(WRITE(store, run_collect_and_upload, &args, &err), err);
    assert_ok(db_image_open(store->db, sha256, &fd, &size, &err), err);
    close(fd);
    assert_int_equal(count_files(store, "images"), 1);
}

static bool run_image_then_fail(struct db_conn *tx, void *arg, struct err *err) {
    return run_image(tx, arg, err) && err_set(err, ERR_CONFLICT, "on purpose");
}

static void test_undone_upload_leaves_no_file(void **state) {
    struct store *store = *state;
    struct image_args args = {.upload = NULL};
    char sha256[DB_SHA256_SIZE];
    struct err err;

    hash_of("abc", sha256);
    args.upload = begin(store, sha256, 3);
    assert_ok(db_image_write(args.upload, "abc", 3, &err), err);
    assert_fails(WRITE(store, run_image_then_fail, &args, &err), err, ERR_CONFLICT);
    assert_nothing_stored(store, sha256);
}

static void test_signature(void **state) {
    struct store *store = *state;
    char sha256[DB_SHA256_SIZE];
    struct write_args args = {.text = sha256};
    const void *data;
    size_t len;
    struct err err;

    make_image(store, "abc", sha256);
    assert_fails(db_image_signature_get(store->reader, sha256, &store->arena, &data, &len, &err), err, ERR_NOT_FOUND);
    assert_ok(WRITE(store, run_signature, &args, &err), err);
    assert_ok(db_image_signature_get(store->reader, sha256, &store->arena, &data, &len, &err), err);
    assert_int_equal(len, 9);
    assert_memory_equal(data, "signature", 9);
    args.text = "0000000000000000000000000000000000000000000000000000000000000000";
    assert_fails(WRITE(store, run_signature, &args, &err), err, ERR_CONFLICT); /* of no image */
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, store_setup, store_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_upload),
        WITH_STORE(test_again),
        WITH_STORE(test_truncated),
        WITH_STORE(test_wrong_hash),
        WITH_STORE(test_too_long),
        WITH_STORE(test_aborted),
        WITH_STORE(test_names),
        WITH_STORE(test_no_room),
        WITH_STORE(test_missing_file),
        WITH_STORE(test_start_cleans),
        WITH_STORE(test_lost_database),
        WITH_STORE(test_collect),
        WITH_STORE(test_signature),
        WITH_STORE(test_collected_and_uploaded_again),
        WITH_STORE(test_undone_upload_leaves_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
