/* Paths and queries as the server gets them, and objects of the API as lines of text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those four before it */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/view.h"

static struct arena arena;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_clear(&arena);
    return 0;
}

static void segments_stay_segments(void **state) {
    (void)state;
    static const struct {
        const char *segment, *path;
    } cases[] = {
        {"gw-1", "/api/x/gw-1/tags"},
        {"urn:a.b_c~d", "/api/x/urn:a.b_c~d/tags"},
        {"1.0.0+build", "/api/x/1.0.0+build/tags"},
        {"../tokens", "/api/x/..%2Ftokens/tags"},
        {"a?b=c#d", "/api/x/a%3Fb%3Dc%23d/tags"},
        {"\xc3\xbc %", "/api/x/%C3%BC%20%25/tags"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(cli_view_path(&arena, "/api/x", cases[i].segment, "tags", (char *)NULL), cases[i].path);
}

static void queries_leave_out_what_is_not_given(void **state) {
    (void)state;
    const struct cli_query query[] = {{"state", NULL}, {"tag", "a&b"}, {"version", "1.0.0+x"}, {"none", NULL}};
    CLEANUP(buf_free) struct buf out = BUF_INIT(256);
    cli_view_query(&out, query, ARRAY_LEN(query));
    assert_string_equal(out.data, "?tag=a%26b&version=1.0.0%2Bx");
    buf_reset(&out);
    cli_view_query(&out, query, 1);
    assert_int_equal(out.len, 0);
}

struct thing {
    const char *name;
    int64_t count, seen;
    bool good;
    struct json_texts tags;
};

static const struct json_field thing_fields[] = {
    {"name", JSON_TEXT, offsetof(struct thing, name), JSON_REQUIRED, 0, 0, NULL},
    {"count", JSON_INT, offsetof(struct thing, count), JSON_NULLABLE, 0, 0, NULL},
    {"seen", JSON_TIME, offsetof(struct thing, seen), JSON_NULLABLE, 0, 0, NULL},
    {"good", JSON_BOOL, offsetof(struct thing, good), 0, 0, 0, NULL},
    {"tags", JSON_TEXTS, offsetof(struct thing, tags), JSON_NULLABLE, 0, 0, NULL},
};
static const struct json_shape thing_shape = JSON_SHAPE_OPEN(struct thing, thing_fields);

static const char *shout(struct arena *out, const void *object) {
    return arena_printf(out, "%s!", ((const struct thing *)object)->name);
}

static const struct cli_column thing_columns[] = {
    {.title = "NAME", .field = "name"}, {.title = "count", .field = "count", .zero_is_none = true},
    {.title = "seen", .field = "seen"}, {.title = "good", .field = "good"},
    {.title = "tags", .field = "tags"}, {.title = "loud", .format = shout},
};
static const struct cli_view thing_view = {.shape = &thing_shape, .list = thing_columns, .list_count = ARRAY_LEN(thing_columns)};

/* What show prints of this reply; NULL when it fails. The caller frees it. */
static char *show(const char *body, bool json, bool terminal, struct err *err) {
    char *text = NULL;
    size_t len = 0;
    struct cli cli = {.json = json, .out_is_terminal = terminal, .notes = stderr};
    const struct cli_reply reply = {.status = 200, .body = body, .len = strlen(body)};
    arena_init(&cli.arena, 1 << 20);
    cli.out = open_memstream(&text, &len);
    assert_non_null(cli.out);
    bool shown = cli_view_show(&cli, &reply, &thing_view, err);
    fclose(cli.out);
    arena_clear(&cli.arena);
    if (shown)
        return text;
    free(text);
    return NULL;
}

static void an_object_as_lines(void **state) {
    (void)state;
    static const struct {
        const char *body, *text;
        bool json, terminal;
    } cases[] = {
        {"{\"name\":\"a\",\"count\":7,\"seen\":\"2026-11-22T08:00:00Z\",\"good\":true,\"tags\":[\"x\",\"y\"],\"newer\":{}}",
         "name   a\ncount  7\nseen   2026-11-22T08:00:00Z\ngood   yes\ntags   x, y\nloud   a!\n", false, true},
        {"{\"name\":\"a\",\"count\":null,\"seen\":null,\"good\":false,\"tags\":[]}", "name\ta\ncount\t-\nseen\t-\ngood\tno\ntags\t-\nloud\ta!\n",
         false, false},
        {"{\"name\":\"a\",\"x\":[1]}", "{\"name\":\"a\",\"x\":[1]}\n", true, false},
        {"{\"name\":\"a\"}", "{\n  \"name\": \"a\"\n}\n", true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        char *text = show(cases[i].body, cases[i].json, cases[i].terminal, &err);
        assert_non_null(text);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
}

static void a_reply_that_is_none(void **state) {
    (void)state;
    static const char *const bodies[] = {"", "[]", "{\"count\":7}", "{\"name\":7}", "{\"name\":\"a\",\"tags\":\"x\"}", "{\"name\":\"a\"} x"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct err err = {0};
        assert_null(show(bodies[i], false, false, &err));
        assert_int_not_equal(err.code, ERR_NONE);
        assert_non_null(strstr(err.text, "reply of the server"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(segments_stay_segments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(queries_leave_out_what_is_not_given, set_up, tear_down),
        cmocka_unit_test(an_object_as_lines),
        cmocka_unit_test(a_reply_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
