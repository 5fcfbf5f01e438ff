/* Bodies of DDI clients: what is dirty is cleaned, what is long is cut, what is wrong is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "api/ddi_body.h"
#include "common/text.h"

static struct arena arena;

static int setup(void **state) {
    (void)state;
    arena_init(&arena, 16 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_clear(&arena);
    return 0;
}

static bool read_feedback(const char *text, size_t len, struct db_ddi_feedback *feedback, struct err *err) {
    memset(feedback, 0, sizeof(*feedback));
    return api_ddi_body_feedback(&arena, text, len, feedback, err);
}

#define HEAD "{\"status\":{\"execution\":\"proceeding\",\"result\":{\"finished\":\"none\"},\"details\":["

static void test_dirty(void **state) {
    static const struct {
        const char *body;
        size_t len;
        const char *detail;
    } cases[] = {
#define CASE(inside, clean) {HEAD "\"" inside "\"]}}", sizeof(HEAD "\"" inside "\"]}}") - 1, clean}
        CASE("plain", "plain"),
        CASE("a\tb\nc\x01"
             "d",
             "a b c d"),
        CASE("\xff\xfe"
             "x",
             "??x"),
        CASE("cut \xc3", "cut ?"),
        CASE("\xc3\xa9\xe2\x82\xac", "\xc3\xa9\xe2\x82\xac"),
        CASE("overlong \xc0\xaf", "overlong ??"),
        CASE("surrogate \xed\xa0\x80", "surrogate ???"),
        CASE("esc \\u0007 \\u007f \\u0085", "esc      "),
        CASE("nul \\u0000 and \0 more", "nul   and   more"),
#undef CASE
    };
    struct db_ddi_feedback feedback;
    struct err err;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_true(read_feedback(cases[i].body, cases[i].len, &feedback, &err));
        assert_int_equal(feedback.details.count, 1);
        assert_string_equal(feedback.details.items[0], cases[i].detail);
        assert_true(text_is_printable(feedback.details.items[0]));
    }
}

static void test_taken(void **state) {
    static const struct {
        const char *body;
        int64_t count, of, code;
        size_t details;
    } cases[] = {
        {"{\"status\":{\"execution\":\"closed\",\"result\":{\"finished\":\"success\"}}}", -1, -1, -1, 0},
        {"{\"id\":5,\"id\":\"6\",\"x\":1.5,\"status\":{\"execution\":\"closed\",\"result\":{\"finished\":\"success\",\"progress\":{\"cnt\":1,\"of\":"
         "2}},\"code\":200}}",
         1, 2, 200, 0},
        {"{\"status\":{\"execution\":\"closed\",\"result\":{\"finished\":\"success\",\"progress\":{}},\"details\":\"text\",\"code\":\"x\"}}", 0, 0,
         -1, 0},
        {"{\"status\":{\"execution\":\"closed\",\"result\":{\"finished\":\"success\",\"progress\":5},\"details\":[1,null,\"a\",{}],\"code\":-1}}", -1,
         -1, -1, 1},
        {"{\"status\":{\"execution\":\"closed\",\"result\":{\"finished\":\"success\",\"progress\":{\"cnt\":-5,\"of\":1e9}},\"code\":99999999999}}", 0,
         0, -1, 0},
    };
    struct db_ddi_feedback feedback;
    struct err err;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_true(read_feedback(cases[i].body, strlen(cases[i].body), &feedback, &err));
        assert_int_equal(feedback.execution, FLEET_DDI_CLOSED);
        assert_int_equal(feedback.finished, FLEET_DDI_SUCCESS);
        assert_int_equal(feedback.progress_count, cases[i].count);
        assert_int_equal(feedback.progress_of, cases[i].of);
        assert_int_equal(feedback.code, cases[i].code);
        assert_int_equal(feedback.details.count, cases[i].details);
    }
}

static void test_refused(void **state) {
    static const struct {
        const char *body, *field;
    } cases[] = {
        {"", ""},
        {"{", ""},
        {"[]", ""},
        {"{}", "status"},
        {"{\"status\":5}", "status"},
        {"{\"status\":{\"result\":{\"finished\":\"none\"}}}", "status.execution"},
        {"{\"status\":{\"execution\":\"closed\"}}", "status.result"},
        {"{\"status\":{\"execution\":\"closed\",\"result\":{}}}", "status.result.finished"},
        {"{\"status\":{\"execution\":\"done\",\"result\":{\"finished\":\"none\"}}}", "status.execution"},
        {"{\"status\":{\"execution\":\"closed\",\"result\":{\"finished\":\"maybe\"}}}", "status.result.finished"},
        {"{\"status\":{\"execution\":\"closed\",\"result\":{\"finished\":\"none\"}}} x", ""},
    };
    struct db_ddi_feedback feedback;
    struct err err;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        err.field[0] = '\0';
        assert_false(read_feedback(cases[i].body, strlen(cases[i].body), &feedback, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.field, cases[i].field);
    }
}

static void test_cut(void **state) {
    struct buf body CLEANUP(buf_free) = BUF_INIT(1 << 20);
    struct db_ddi_feedback feedback;
    struct err err;
    (void)state;
    buf_text(&body, HEAD);
    for (int i = 0; i < 100; i++) {
        buf_text(&body, i > 0 ? ",\"" : "\"");
        for (int k = 0; k < 1000; k++)
            buf_text(&body, "\xe2\x82\xac"); /* three bytes: 2048 falls into one */
        buf_text(&body, "\"");
    }
    buf_text(&body, "]}}");
    assert_true(read_feedback(body.data, body.len, &feedback, &err));
    assert_int_equal(feedback.details.count, DB_DDI_DETAILS);
    assert_int_equal(strlen(feedback.details.items[0]), 2046);
    assert_true(text_is_utf8(feedback.details.items[63], 2046));
}

static void check_map(const struct json_map *map, const char *expected) {
    struct buf text CLEANUP(buf_free) = BUF_INIT(1 << 20);
    struct err err;
    json_write_map(&text, map);
    assert_true(buf_ok(&text, "map", &err));
    assert_string_equal(text.data, expected);
}

static void test_attributes(void **state) {
    static const struct {
        const char *known, *body, *all;
    } cases[] = {
        {"{}", "", "{}"},
        {"{\"a\":\"1\"}", "", "{\"a\":\"1\"}"},
        {"{\"a\":\"1\"}", "{}", "{\"a\":\"1\"}"},
        {"{\"a\":\"1\"}", "{\"data\":{\"a\":\"2\",\"b\":\"3\"}}", "{\"a\":\"2\",\"b\":\"3\"}"},
        {"{\"a\":\"1\"}", "{\"mode\":\"merge\",\"data\":{\"b\":\"3\"}}", "{\"a\":\"1\",\"b\":\"3\"}"},
        {"{\"a\":\"1\"}", "{\"mode\":\"replace\",\"data\":{\"b\":\"3\"}}", "{\"b\":\"3\"}"},
        {"{\"a\":\"1\"}", "{\"mode\":\"replace\"}", "{}"},
        {"{\"a\":\"1\",\"b\":\"2\"}", "{\"mode\":\"remove\",\"data\":{\"a\":\"\",\"c\":\"\"}}", "{\"b\":\"2\"}"},
        {"{}", "{\"mode\":\"what\",\"data\":{\"a\":\"1\",\"n\":5,\"z\":null}}", "{\"a\":\"1\"}"},
        {"{}", "{\"mode\":7,\"data\":{\"a\x01\":\"\x02\"}}", "{\"a \":\" \"}"},
    };
    struct json_map all;
    struct err err;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_true(api_ddi_body_attributes(&arena, cases[i].known, cases[i].body, strlen(cases[i].body), &all, &err));
        check_map(&all, cases[i].all);
    }
    assert_false(api_ddi_body_attributes(&arena, "{}", "{\"data\":{\"a\":\"b\"c\"}}", 20, &all, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

static void test_attributes_have_a_ceiling(void **state) {
    struct buf body CLEANUP(buf_free) = BUF_INIT(1 << 20);
    struct buf known CLEANUP(buf_free) = BUF_INIT(1 << 20);
    struct json_map all;
    struct err err;
    (void)state;
    buf_text(&body, "{\"data\":{");
    for (int i = 0; i < 300; i++)
        buf_printf(&body, "%s\"name-%03d%0200d\":\"%0300d\"", i > 0 ? "," : "", i, 0, 1);
    buf_text(&body, "}}");
    assert_true(api_ddi_body_attributes(&arena, "{}", body.data, body.len, &all, &err));
    assert_int_equal(all.count, API_DDI_ATTRIBUTES);
    for (size_t i = 0; i < all.count; i++) {
        assert_int_equal(strlen(all.items[i].name), API_DDI_ATTRIBUTE_BYTES);
        assert_int_equal(strlen(all.items[i].value), API_DDI_ATTRIBUTE_BYTES);
    }
    json_write_map(&known, &all);
    assert_true(api_ddi_body_attributes(&arena, known.data, "{\"data\":{\"one\":\"more\"}}", 23, &all, &err));
    assert_int_equal(all.count, API_DDI_ATTRIBUTES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dirty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attributes_have_a_ceiling, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
