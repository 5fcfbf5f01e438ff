/* JSON by descriptor: what is read, what is refused and how it is written. */
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

#include "common/file.h"
#include "common/json.h"
#include "common/text.h"

struct owner {
    const char *name;
};

struct labelled {
    struct json_map labels;
};

static const struct json_field labelled_fields[] = {
    {.name = "labels", .type = JSON_MAP, .offset = offsetof(struct labelled, labels), .max = 3},
};
static const struct json_shape labelled_shape = JSON_SHAPE(struct labelled, labelled_fields);

struct phase {
    int64_t percent;
    const char *note;
};

struct thing {
    const char *id;
    const char *name;
    const char *note;
    int64_t count;
    int64_t serial;
    bool on;
    int64_t at;
    struct json_texts tags;
    struct owner *owner;
    struct json_list phases;
    const char *extra;
    struct json_bytes blob;
};

static const struct json_field owner_fields[] = {
    {.name = "name", .type = JSON_TEXT, .offset = offsetof(struct owner, name), .flags = JSON_REQUIRED},
};
static const struct json_shape owner_shape = JSON_SHAPE(struct owner, owner_fields);

static const struct json_field phase_fields[] = {
    {.name = "percent", .type = JSON_INT, .offset = offsetof(struct phase, percent), .flags = JSON_REQUIRED, .min = 1, .max = 100},
    {.name = "note", .type = JSON_TEXT, .offset = offsetof(struct phase, note)},
};
static const struct json_shape phase_shape = JSON_SHAPE(struct phase, phase_fields);

static const struct json_field thing_fields[] = {
    {.name = "id", .type = JSON_TEXT, .offset = offsetof(struct thing, id), .flags = JSON_WRITE_ONLY},
    {.name = "name", .type = JSON_TEXT, .offset = offsetof(struct thing, name), .flags = JSON_REQUIRED, .min = 1, .max = 8},
    {.name = "note", .type = JSON_TEXT, .offset = offsetof(struct thing, note), .flags = JSON_NULLABLE},
    {.name = "count", .type = JSON_INT, .offset = offsetof(struct thing, count), .min = 1, .max = 100},
    {.name = "serial", .type = JSON_INT, .offset = offsetof(struct thing, serial)},
    {.name = "on", .type = JSON_BOOL, .offset = offsetof(struct thing, on)},
    {.name = "at", .type = JSON_TIME, .offset = offsetof(struct thing, at)},
    {.name = "tags", .type = JSON_TEXTS, .offset = offsetof(struct thing, tags), .max = 3},
    {.name = "owner", .type = JSON_STRUCT, .offset = offsetof(struct thing, owner), .shape = &owner_shape},
    {.name = "phases", .type = JSON_STRUCTS, .offset = offsetof(struct thing, phases), .flags = JSON_NULLABLE, .min = 1, .shape = &phase_shape},
    {.name = "extra", .type = JSON_RAW, .offset = offsetof(struct thing, extra), .max = 64},
    {.name = "blob", .type = JSON_BASE64, .offset = offsetof(struct thing, blob), .min = 1, .max = 4},
};
static const struct json_shape thing_shape = JSON_SHAPE(struct thing, thing_fields);
static const struct json_shape open_shape = JSON_SHAPE_OPEN(struct thing, thing_fields);

static bool read_thing(struct arena *arena, const char *text, struct thing *ret_thing, struct err *err) {
    return json_read(arena, text, strlen(text), &thing_shape, ret_thing, NULL, err);
}

static void test_reads_everything(void **state) {
    static const char text[] =
        " {\"name\":\"n\\u00e4\\n\", \"count\":100, \"serial\":9007199254740991, \"on\":true, \"at\":\"2026-11-22T08:00:00Z\",\n"
        "\"tags\":[\"a\",\"\",\"c\"], \"owner\":{\"name\":\"o\"}, \"phases\":[{\"percent\":1,\"note\":\"x\"},{\"percent\":100}],\n"
        "\"extra\":{\"b\": [1, null, \"/\"] , \"a\":{}}, \"blob\":\"Zm9vYg==\", \"note\":null}\n";
    CLEANUP(arena_clear) struct arena arena;
    struct thing thing;
    uint64_t present = 0;
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 16);
    memset(&thing, 0xff, sizeof(thing));
    assert_true(json_read(&arena, text, strlen(text), &thing_shape, &thing, &present, &err));
    assert_string_equal(thing.name, "n\xc3\xa4\n");
    assert_int_equal(thing.count, 100);
    assert_int_equal(thing.serial, INT64_C(9007199254740991));
    assert_true(thing.on);
    assert_int_equal(thing.at, 1795334400);
    assert_int_equal(thing.tags.count, 3);
    assert_string_equal(thing.tags.items[2], "c");
    assert_string_equal(thing.owner->name, "o");
    assert_int_equal(thing.phases.count, 2);
    const struct phase *phases = thing.phases.items;
    assert_string_equal(phases[0].note, "x");
    assert_int_equal(phases[1].percent, 100);
    assert_null(phases[1].note);
    assert_string_equal(thing.extra, "{\"b\":[1,null,\"/\"],\"a\":{}}");
    assert_int_equal(thing.blob.len, 4);
    assert_memory_equal(thing.blob.data, "foob", 4);
    assert_null(thing.note);
    assert_null(thing.id);
    assert_int_equal(present, 0xfff & ~1U);
}

static void test_absent_is_zero(void **state) {
    CLEANUP(arena_clear) struct arena arena;
    struct thing thing;
    uint64_t present = 0;
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 16);
    memset(&thing, 0xff, sizeof(thing));
    assert_true(json_read(&arena, "{\"name\":\"n\"}", 12, &thing_shape, &thing, &present, &err));
    assert_int_equal(present, 2);
    assert_int_equal(thing.count, 0);
    assert_false(thing.on);
    assert_null(thing.tags.items);
    assert_null(thing.owner);
    assert_null(thing.extra);
    assert_null(thing.blob.data);
}

static void test_open_shape_ignores_what_it_does_not_know(void **state) {
    static const char text[] = "{\"name\":\"n\",\"new\":{\"a\":[1]},\"count\":5}";
    CLEANUP(arena_clear) struct arena arena;
    struct thing thing;
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 16);
    assert_true(json_read(&arena, text, strlen(text), &open_shape, &thing, NULL, &err));
    assert_int_equal(thing.count, 5);
}

static bool is_json(const char *text, struct err *err) {
    CLEANUP(buf_free) struct buf pretty = BUF_INIT(10000);
    return json_pretty(&pretty, text, strlen(text), err);
}

static void test_depth_is_exact(void **state) {
    struct err err;
    (void)state;
    static const char deep[] = "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"; /* 16 */
    assert_true(is_json(deep, &err));
    static const char deeper[] = "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]";
    assert_false(is_json(deeper, &err));
    assert_string_equal(err.text, "JSON is nested deeper than 16");
    static const char brackets[] = "\"[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[\"";
    assert_true(is_json(brackets, &err));
}

static void test_messages(void **state) {
    CLEANUP(arena_clear) struct arena arena;
    struct thing thing;
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 16);
    assert_false(read_thing(&arena, "{\"name\":\"n\",\"phases\":[{\"percent\":0}]}", &thing, &err));
    assert_string_equal(err.text, "phases[0].percent must be an integer from 1 to 100");
    assert_false(read_thing(&arena, "{}", &thing, &err));
    assert_string_equal(err.text, "name is missing");
    assert_false(read_thing(&arena, "{\"name\":\"\"}", &thing, &err));
    assert_string_equal(err.text, "name must have 1 to 8 bytes");
    assert_false(read_thing(&arena, "{\"name\":\"n\",\"extra\":[1,{\"a\":2.5}]}", &thing, &err));
    assert_string_equal(err.text, "extra[1].a must be an integer");
    assert_false(read_thing(&arena, "[]", &thing, &err));
    assert_string_equal(err.text, "the body must be an object");
    assert_false(read_thing(&arena, "{\"name\":\"n\",\n \"name\":\"secret\"}", &thing, &err));
    assert_non_null(strstr(err.text, "not JSON at line 2"));
    assert_non_null(strstr(err.text, "a member is given twice"));
    assert_null(strstr(err.text, "secret"));
}

static void test_arena_ceiling(void **state) {
    static const char text[] =
        "{\"name\":\"n\",\"tags\":[\"a\",\"b\"],\"owner\":{\"name\":\"o\"},\"phases\":[{\"percent\":1}],\"extra\":[],\"blob\":\"Zg==\"}";
    (void)state;
    bool read = false;
    for (size_t max = 0; max < 400 && !read; max += 16) {
        CLEANUP(arena_clear) struct arena arena;
        struct thing thing;
        struct err err = {0};
        arena_init(&arena, max);
        read = read_thing(&arena, text, &thing, &err);
        assert_int_equal(err.code, read ? ERR_NONE : ERR_NO_MEMORY);
        assert_true(read || max < 300);
    }
    assert_true(read);
}

/* tests/data/json/invalid: NAME.json and in NAME.expect "slug field". */
static void check_invalid(const char *name) {
    CLEANUP(arena_clear) struct arena arena;
    CLEANUP(buf_free) struct buf input = BUF_INIT(1 << 20);
    CLEANUP(buf_free) struct buf expected = BUF_INIT(1000);
    CLEANUP(buf_free) struct buf found = BUF_INIT(1000);
    struct thing thing;
    struct err err;
    char path[PATH_MAX];
    size_t stem = strlen(name) - strlen(".json");
    arena_init(&arena, 1 << 20);
    snprintf(path, sizeof(path), "%s/json/invalid/%s", PAWL_TEST_DATA, name);
    assert_true(file_read(path, &input, &err));
    snprintf(path, sizeof(path), "%s/json/invalid/%.*s.expect", PAWL_TEST_DATA, (int)stem, name);
    assert_true(file_read(path, &expected, &err));
    if (json_read(&arena, input.data, input.len, &thing_shape, &thing, NULL, &err))
        fail_msg("%s was read", name);
    buf_printf(&found, "%s%s%s\n", err_slug(err.code), err.field[0] != '\0' ? " " : "", err.field);
    if (strcmp(found.data, expected.data) != 0)
        fail_msg("%s: %s (%s), expected %s", name, found.data, err.text, expected.data);
}

static void test_invalid_folder(void **state) {
    int count = 0;
    (void)state;
    DIR *folder = opendir(PAWL_TEST_DATA "/json/invalid");
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (text_ends(entry->d_name, ".json")) {
            check_invalid(entry->d_name);
            count++;
        }
    }
    closedir(folder);
    assert_true(count >= 60);
}

static void test_writes_and_reads_back(void **state) {
    CLEANUP(arena_clear) struct arena arena;
    CLEANUP(buf_free) struct buf out = BUF_INIT(1 << 16);
    struct err err;
    struct thing back;
    const char *tags[] = {"a/b", "\"\\\b\f\n\r\t\x01\x7f"};
    struct owner owner = {"o"};
    struct phase phases[] = {{1, "x"}, {100, NULL}};
    const struct thing thing = {.id = "i",
                                .name = "n\xff\xc3\xa4",
                                .count = 7,
                                .serial = 8,
                                .on = true,
                                .at = 1795334400,
                                .tags = {2, tags},
                                .owner = &owner,
                                .phases = {2, phases},
                                .extra = "[1,{}]",
                                .blob = {1, (const uint8_t *)"f"}};
    (void)state;
    json_write(&out, &thing_shape, &thing);
    assert_string_equal(out.data,
                        "{\"id\":\"i\",\"name\":\"n\xef\xbf\xbd\xc3\xa4\",\"note\":null,\"count\":7,\"serial\":8,\"on\":true,"
                        "\"at\":\"2026-11-22T08:00:00Z\",\"tags\":[\"a/b\",\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\x7f\"],\"owner\":{\"name\":\"o\"},"
                        "\"phases\":[{\"percent\":1,\"note\":\"x\"},{\"percent\":100}],\"extra\":[1,{}],\"blob\":\"Zg==\"}");
    assert_true(is_json(out.data, &err));
    arena_init(&arena, 1 << 16);
    struct thing small = {.name = "n", .count = 1};
    buf_reset(&out);
    json_write(&out, &thing_shape, &small);
    assert_string_equal(out.data, "{\"name\":\"n\",\"note\":null,\"count\":1,\"serial\":0,\"on\":false,\"tags\":[],\"phases\":null}");
    assert_true(read_thing(&arena, out.data, &back, &err));
}

static void test_write_ceiling(void **state) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(20);
    struct thing small = {.name = "n", .count = 1};
    struct err err;
    (void)state;
    json_write(&out, &thing_shape, &small);
    assert_false(buf_ok(&out, "reply", &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
}

static void test_pretty(void **state) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
    struct err err;
    (void)state;
    assert_true(is_json("1", &err));
    assert_false(is_json("1 2", &err));
    assert_false(is_json("{\"a\":1,\"a\":1}", &err));
    assert_true(json_pretty(&out, "{\"b\":[1,{}],\"a\":\"/\"}", 20, &err));
    assert_string_equal(out.data, "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": \"/\"\n}");
    assert_false(json_pretty(&out, "{", 1, &err));
}

static void test_map(void **state) {
    static const char good[] = "{\"labels\":{\"a\":\"1\",\"b \\\"c\\\"\":null,\"\":\"\"}}";
    static const struct {
        const char *text, *field;
    } bad[] = {
        {"{\"labels\":[]}", "labels"},
        {"{\"labels\":null}", "labels"},
        {"{\"labels\":\"a\"}", "labels"},
        {"{\"labels\":{\"a\":1}}", "labels.a"},
        {"{\"labels\":{\"a\":{}}}", "labels.a"},
        {"{\"labels\":{\"a\":\"\\u0007\"}}", "labels.a"},
        {"{\"labels\":{\"a\\u0007\":\"x\"}}", NULL},
        {"{\"labels\":{\"a\":\"1\",\"b\":\"1\",\"c\":\"1\",\"d\":\"1\"}}", "labels"},
    };
    struct arena arena CLEANUP(arena_clear);
    struct labelled read;
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 20);
    assert_true(json_read(&arena, good, strlen(good), &labelled_shape, &read, NULL, &err));
    assert_int_equal(read.labels.count, 3);
    assert_string_equal(read.labels.items[1].name, "b \"c\"");
    assert_null(read.labels.items[1].value);
    struct buf out CLEANUP(buf_free) = BUF_INIT(1000);
    json_write(&out, &labelled_shape, &read);
    assert_string_equal(out.data, good);
    buf_reset(&out);
    read.labels = (struct json_map){0};
    json_write(&out, &labelled_shape, &read);
    assert_string_equal(out.data, "{}");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(json_read(&arena, bad[i].text, strlen(bad[i].text), &labelled_shape, &read, NULL, &err));
        assert_int_equal(err.code, ERR_INVALID);
        if (bad[i].field != NULL)
            assert_string_equal(err.field, bad[i].field);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_reads_everything),
        cmocka_unit_test(test_absent_is_zero),
        cmocka_unit_test(test_open_shape_ignores_what_it_does_not_know),
        cmocka_unit_test(test_depth_is_exact),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_arena_ceiling),
        cmocka_unit_test(test_invalid_folder),
        cmocka_unit_test(test_writes_and_reads_back),
        cmocka_unit_test(test_write_ceiling),
        cmocka_unit_test(test_pretty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
