/* Canonical JSON: one representation for a document, and no other is read. */
#include "tests/unit/trust_cases.h"

#include "trust/canon.h"

/* Reads a file, and finds its file bytes equal and its signed bytes as in "<case>.signed". */
static bool run_valid(const char *path, const struct buf *file, struct err *err) {
    json_t *value = NULL;
    struct buf written = BUF_INIT(SIM_FILE_MAX), signed_bytes = BUF_INIT(SIM_FILE_MAX), expected;
    char other[512];
    if (!canon_parse(file->data, file->len, SIM_FILE_MAX, "file", &value, err))
        return false;
    SIM_OK(canon_file_bytes(&written, value, &sim_err));
    assert_int_equal(written.len, file->len);
    assert_memory_equal(written.data, file->data, file->len);
    SIM_OK(canon_signed_bytes(&signed_bytes, value, &sim_err));
    snprintf(other, sizeof other, "%.*s.signed", (int)(strlen(path) - strlen(".json")), path);
    cases_read(other, &expected);
    assert_int_equal(signed_bytes.len, expected.len);
    assert_memory_equal(signed_bytes.data, expected.data, expected.len);
    buf_free(&expected);
    buf_free(&signed_bytes);
    buf_free(&written);
    json_decref(value);
    return true;
}

static bool run_parse(const char *path, const struct buf *file, struct err *err) {
    json_t *value = NULL;
    (void)path;
    bool fine = canon_parse(file->data, file->len, SIM_FILE_MAX, "file", &value, err);
    json_decref(value);
    return fine;
}

static void test_vectors(void **state) {
    (void)state;
    cases_walk("valid/canon", 9, true, run_valid);
}

static void test_refused(void **state) {
    (void)state;
    cases_walk("invalid/canon", 55, false, run_parse);
}

/* The ceiling is asked before anything else: the bytes behind it are not even looked at. */
static void test_ceiling(void **state) {
    (void)state;
    json_t *value = NULL;
    SIM_OK(canon_parse("{\"a\":1}", 7, 7, "file", &value, &sim_err));
    json_decref(value);
    assert_int_equal(SIM_CODE(canon_parse("{\"a\":1}", 7, 6, "file", &value, &sim_err)), ERR_LENGTH);
    assert_int_equal(SIM_CODE(canon_parse(NULL, SIZE_MAX, 6, "file", &value, &sim_err)), ERR_LENGTH);
    assert_int_equal(SIM_CODE(canon_parse(NULL, 0, 6, "file", &value, &sim_err)), ERR_FORMAT);
}

/* What a program builds is held to the same rules. */
static void test_writers_refuse(void **state) {
    (void)state;
    json_t *values[] = {
        json_real(1.0),         json_string("a\tb"), json_string("\xc3\xa9"), json_integer(9007199254740992), json_pack("{s:i}", "a\nb", 1),
        json_stringn("a\0b", 3)};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct buf out = BUF_INIT(1024);
        json_t *document = json_pack("[o]", values[i]);
        assert_non_null(document);
        assert_int_equal(SIM_CODE(canon_signed_bytes(&out, document, &sim_err)), ERR_FORMAT);
        assert_int_equal(SIM_CODE(canon_file_bytes(&out, document, &sim_err)), ERR_FORMAT);
        buf_free(&out);
        json_decref(document);
    }
    json_t *document = json_pack("{s:s}", "a", "b");
    struct buf small = BUF_INIT(4);
    assert_int_equal(SIM_CODE(canon_signed_bytes(&small, document, &sim_err)), ERR_TOO_LARGE);
    buf_reset(&small);
    assert_int_equal(SIM_CODE(canon_file_bytes(&small, document, &sim_err)), ERR_TOO_LARGE);
    buf_free(&small);
    json_decref(document);
}

/* The file form is jansson's own (the writer here only is quicker), whatever the order that members were put in. */
static void test_file_form_is_janssons(void **state) {
    (void)state;
    static char long_text[20000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[9000] = '"';
    long_text[9001] = '\\';
    long_text[9002] = '\n';
    for (int seed = 0; seed < 200; seed++) {
        json_t *object = json_object();
        for (int i = 0; i < seed; i++) {
            char name[32];
            snprintf(name, sizeof name, "%d \"name\\", (i * 7919 + seed) % 1000);
            json_t *value = i % 5 == 0   ? json_integer((i % 2 != 0 ? -1 : 1) * (json_int_t)i * 123456789)
                            : i % 5 == 1 ? json_string(long_text + (seed * 97) % 19000)
                            : i % 5 == 2 ? json_pack("[b,n,i,{s:s}]", i % 3, 0, "b", "/\n")
                            : i % 5 == 3 ? json_integer(INT64_C(9007199254740991) * (i % 2 != 0 ? 1 : -1))
                                         : json_pack("{s:i,s:[],s:{}}", "z", i, "a", "m");
            assert_int_equal(json_object_set_new(object, name, value), 0);
        }
        char *expected = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
        struct buf bytes = BUF_INIT(SIM_FILE_MAX);
        SIM_OK(canon_file_bytes(&bytes, object, &sim_err));
        assert_string_equal(bytes.data, expected);
        json_t *again = NULL;
        SIM_OK(canon_parse(bytes.data, bytes.len, SIM_FILE_MAX, "test", &again, &sim_err));
        assert_true(json_equal(object, again));
        json_decref(again);
        bytes.data[bytes.len - 1] = ' ';
        assert_int_equal(SIM_CODE(canon_parse(bytes.data, bytes.len, SIM_FILE_MAX, "test", &again, &sim_err)), ERR_FORMAT);
        buf_free(&bytes);
        free(expected);
        json_decref(object);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_writers_refuse),
        cmocka_unit_test(test_file_form_is_janssons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
