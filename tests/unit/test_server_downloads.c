/* Images over HTTP: who may have them, ranges and preconditions end to end, and files that vanish. */
#include "tests/unit/server_fixture.h"

#define PATH "/firmware/p/1.1.0/image.bin"

/* The fixture's images are their own paths: "p/1.1.0/image.bin", 17 bytes. */
enum { LENGTH = 17 };
static const char image[] = "p/1.1.0/image.bin";

static struct ask get_of(const char *path) {
    return (struct ask){.path = path, .device = "d", .key = 1};
}

static char *etag_of(struct rig *rig) {
    char hex[DB_SHA256_SIZE];
    struct err err;
    assert_ok(hash_sha256_hex(image, LENGTH, hex, &err), err);
    return arena_printf(&rig->store->arena, "\"%s\"", hex);
}

static void make_offer(struct rig *rig) {
    make_product(rig->store, "p", FLEET_POLICY_LATEST);
    make_release(rig->store, "p", 1);
    expect(rig, (struct ask){.path = "/check", .query = "product=p&hardware=board", .device = "d", .key = 1}, 200, "install");
}

static void check_blob(const struct ask *given, size_t first, size_t len) {
    const struct api_blob *blob = &given->call.reply.blob;
    if (blob->release == NULL || blob->len != len || memcmp(blob->data, image + first, len) != 0)
        fail_msg("%s: %zu bytes where %zu from %zu are expected", given->path, blob->len, len, first);
}

static void test_whole(void **state) {
    struct rig *rig = *state;
    make_offer(rig);
    struct ask get = get_of(PATH);
    assert_int_equal(ask(rig, &get), 200);
    assert_false(get.written);
    check_blob(&get, 0, LENGTH);
    assert_string_equal(ask_header(&get, "ETag"), etag_of(rig));
    assert_string_equal(ask_header(&get, "Accept-Ranges"), "bytes");
    assert_string_equal(ask_header(&get, "Content-Range"), "");
    assert_string_equal(ask_header(&get, "Last-Modified"), "Fri, 15 Jan 2027 08:00:00 GMT");
    assert_int_equal(strncmp(ask_header(&get, "Repr-Digest"), "sha-256=:", 9), 0);
    ask_done(&get);

    struct ask head = get_of(PATH);
    head.head = true;
    head.headers[0] = (struct api_param){"Range", "bytes=0-0"}; /* ignored */
    assert_int_equal(ask(rig, &head), 200);
    assert_true(head.call.reply.head_length_set && head.call.reply.blob.release == NULL);
    assert_int_equal(head.call.reply.head_length, LENGTH);
    assert_string_equal(ask_header(&head, "ETag"), etag_of(rig));
    ask_done(&head);
}

static void test_ranges(void **state) {
    static const struct {
        const char *range, *if_range, *content_range;
        int status;
        size_t first, len;
    } rows[] = {
        {"bytes=0-0", NULL, "bytes 0-0/17", 206, 0, 1},
        {"bytes=0-", NULL, "bytes 0-16/17", 206, 0, 17},
        {"bytes=3-5", NULL, "bytes 3-5/17", 206, 3, 3},
        {"bytes=-4", NULL, "bytes 13-16/17", 206, 13, 4},
        {"bytes=10-100", NULL, "bytes 10-16/17", 206, 10, 7},
        {"bytes=17-", NULL, "bytes */17", 416, 0, 0},
        {"bytes=-0", NULL, "bytes */17", 416, 0, 0},
        {"bytes=0-1,3-4", NULL, "", 200, 0, 17},
        {"bytes=x", NULL, "", 200, 0, 17},
        {"lines=0-1", NULL, "", 200, 0, 17},
        {"bytes=3-5", "match", "bytes 3-5/17", 206, 3, 3},
        {"bytes=3-5", "Fri, 15 Jan 2027 08:00:00 GMT", "bytes 3-5/17", 206, 3, 3},
        {"bytes=3-5", "\"other\"", "", 200, 0, 17},
        {"bytes=3-5", "Fri, 15 Jan 2027 08:00:01 GMT", "", 200, 0, 17},
        {"bytes=99-", "\"other\"", "", 200, 0, 17},
    };
    struct rig *rig = *state;
    make_offer(rig);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ask get = get_of(PATH);
        const char *if_range = rows[i].if_range != NULL && strcmp(rows[i].if_range, "match") == 0 ? etag_of(rig) : rows[i].if_range;
        get.headers[0] = (struct api_param){"Range", rows[i].range};
        get.headers[1] = (struct api_param){if_range != NULL ? "If-Range" : NULL, if_range};
        int status = ask(rig, &get);
        if (status != rows[i].status || strcmp(ask_header(&get, "Content-Range"), rows[i].content_range) != 0)
            fail_msg("row %zu: %d %s", i, status, ask_header(&get, "Content-Range"));
        if (rows[i].len > 0)
            check_blob(&get, rows[i].first, rows[i].len);
        assert_string_equal(ask_header(&get, "ETag"), etag_of(rig));
        ask_done(&get);
    }
}

static void test_preconditions(void **state) {
    struct rig *rig = *state;
    make_offer(rig);
    struct ask get = get_of(PATH);
    get.headers[0] = (struct api_param){"If-None-Match", etag_of(rig)};
    get.headers[1] = (struct api_param){"Range", "bytes=0-0"};
    assert_int_equal(ask(rig, &get), 304);
    assert_null(get.call.reply.blob.release);
    assert_string_equal(ask_header(&get, "ETag"), etag_of(rig));
    ask_done(&get);
    get.headers[0] = (struct api_param){"If-Match", "\"other\""};
    assert_int_equal(ask(rig, &get), 412);
    assert_string_equal(ask_header(&get, "Content-Range"), "");
    ask_done(&get);
}

static void test_paths(void **state) {
    struct rig *rig = *state;
    make_offer(rig);
    char *etag = etag_of(rig);
    struct ask get = get_of(arena_printf(&rig->store->arena, "/firmware/p/1.1.0/%.64s.image.bin", etag + 1));
    assert_int_equal(ask(rig, &get), 200);
    check_blob(&get, 0, LENGTH);
    ask_done(&get);
    etag[1] = etag[1] == '0' ? '1' : '0';
    expect(rig, get_of(arena_printf(&rig->store->arena, "/firmware/p/1.1.0/%.64s.image.bin", etag + 1)), 404, NULL);
    expect(rig, get_of(PATH ".sig"), 404, "no detached signature");
    static const char *const none[] = {"/firmware/p/1.1.0/",
                                       "/firmware/p/1.1.0/image",
                                       "/firmware/p/1.1.0/image.bin/",
                                       "/firmware/p//image.bin",
                                       "/firmware/p/1.1.0/../1.1.0/image.bin",
                                       "/firmware/P/1.1.0/image.bin",
                                       "/firmware/p/1.1.0/image%2ebin",
                                       "/firmware/.sig",
                                       "/firmware/p",
                                       "/firmware/p/1.1.0/image.bin.sig.sig"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        expect(rig, get_of(none[i]), 404, NULL);
}

static bool run_signature(struct db_conn *tx, void *arg, struct err *err) {
    return db_image_signature_set(tx, arg, "SIGNED", 6, err);
}

static void test_signature(void **state) {
    struct rig *rig = *state;
    struct err err;
    make_offer(rig);
    char *sha256 = arena_strndup(&rig->store->arena, etag_of(rig) + 1, 64);
    assert_ok(db_write(rig->store->db, run_signature, sha256, &err), err);
    expect(rig, get_of(PATH ".sig"), 200, "SIGNED");
    expect(rig, (struct ask){.path = PATH ".sig", .device = "stranger", .key = 2}, 403, "not-entitled");
}

static void test_entitlement(void **state) {
    struct rig *rig = *state;
    make_offer(rig);
    make_product(rig->store, "q", FLEET_POLICY_ROLLOUT);
    make_release(rig->store, "q", 1);
    /* another device, another product, another hardware */
    expect(rig, (struct ask){.path = PATH, .device = "stranger", .key = 2}, 403, "urn:pawl:problem:not-entitled");
    expect(rig, get_of("/firmware/q/1.1.0/image.bin"), 403, "urn:pawl:problem:not-entitled");
    expect(rig, (struct ask){.path = "/check", .query = "product=p&hardware=toy", .device = "toy", .key = 3}, 204, NULL);
    expect(rig, (struct ask){.path = PATH, .device = "toy", .key = 3}, 403, "urn:pawl:problem:not-entitled");
    /* a cancelled deployment: a day's grace, then nothing */
    expect(rig, (struct ask){.method = "POST", .path = "/api/v1/deployments/1001/cancel", .token = rig->token}, 200, "cancelled");
    expect(rig, get_of(PATH), 200, NULL);
    rig->now = NOW + 86400;
    expect(rig, get_of(PATH), 200, NULL);
    rig->now = NOW + 86401;
    expect(rig, get_of(PATH), 403, "urn:pawl:problem:not-entitled");
}

static void test_file_that_vanishes(void **state) {
    struct rig *rig = *state;
    make_offer(rig);
    char *etag = etag_of(rig);
    char *path = arena_printf(&rig->store->arena, "%s/images/%.64s", rig->store->folder, etag + 1);
    char *away = arena_printf(&rig->store->arena, "%s/away", rig->store->folder);
    expect(rig, get_of(PATH), 200, NULL); /* mapped already */
    assert_int_equal(rename(path, away), 0);
    rig->now += 120; /* past what another test noticed */
    expect(rig, get_of(PATH), 500, "urn:pawl:problem:io");
    assert_int_equal(count_events(rig, "image-missing"), 1);
    struct ask head = get_of(PATH);
    head.head = true;
    expect(rig, head, 500, NULL);
    assert_int_equal(count_events(rig, "image-missing"), 1);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(image, 1, LENGTH - 1, file), LENGTH - 1);
    fclose(file);
    expect(rig, get_of(PATH), 500, NULL); /* too short */
    assert_int_equal(rename(away, path), 0);
    expect(rig, get_of(PATH), 200, NULL);
}

/* A blob outlives everything that happens to its file meanwhile. */
static void test_blob_in_flight(void **state) {
    struct rig *rig = *state;
    char sha256[DB_SHA256_SIZE];
    make_offer(rig);
    struct ask get = get_of(PATH);
    assert_int_equal(ask(rig, &get), 200);
    make_image(rig->store, image, sha256); /* uploaded again: another file under the name */
    expect(rig, get_of(PATH), 200, NULL);  /* drops the old mapping from the list */
    check_blob(&get, 0, LENGTH);
    ask_done(&get);
}

static void test_upload(void **state) {
    struct rig *rig = *state;
    char sha256[DB_SHA256_SIZE];
    struct err err;
    assert_ok(hash_sha256_hex("abc", 3, sha256, &err), err);
    const char *path = arena_printf(&rig->store->arena, "/api/v1/images/%s", sha256);
    char *large = arena_alloc(&rig->store->arena, 1002);
    memset(large, 'x', 1001);
    expect(rig, (struct ask){.path = path, .token = rig->token}, 404, NULL);
    expect(rig, (struct ask){.method = "PUT", .path = path, .token = rig->token}, 411, NULL);
    expect(rig, (struct ask){.method = "PUT", .path = path, .body = large, .token = rig->token}, 413, "image_bytes");
    expect(rig, (struct ask){.method = "PUT", .path = path, .body = "abd", .token = rig->token}, 422, "urn:pawl:problem:hash");
    expect(rig, (struct ask){.method = "PUT", .path = "/api/v1/images/ABC", .body = "abc", .token = rig->token}, 400, "sha256");
    assert_int_equal(count_files(rig->store, "images"), 0);
    expect(rig, (struct ask){.method = "PUT", .path = path, .body = "abc", .token = rig->token}, 201, sha256);
    expect(rig, (struct ask){.method = "PUT", .path = path, .body = "abc", .token = rig->token}, 200, "900150983cd24fb0d6963f7d28e17f72");
    expect(rig, (struct ask){.path = path, .token = rig->token}, 200, "\"size_bytes\":3");
    assert_int_equal(count_files(rig->store, "tmp"), 0);
    assert_int_equal(count_files(rig->store, "images"), 1);
}

#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG(test_whole),     RIG(test_ranges),      RIG(test_preconditions),      RIG(test_paths),
        RIG(test_signature), RIG(test_entitlement), RIG(test_file_that_vanishes), RIG(test_blob_in_flight),
        RIG(test_upload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
