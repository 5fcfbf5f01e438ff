/* The filter grammar: what matches, what it is printed as, what is refused and where. */
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
#include "common/text.h"
#include "fleet/filter.h"

static const char *const tags[] = {"canary", "eu-west"};
static const struct fleet_filter_attribute attributes[] = {{"site", "Köln"}, {"ram", "512"}, {"the place", "on \"top\""}, {"empty", ""}};

/* One that is known, and one of which nothing is known. */
static const struct fleet_filter_subject known = {
    .id = "gw-17",
    .product = "gateway",
    .hardware = "board-a",
    .version = "4.2.0",
    .sequence_known = true,
    .sequence = 42,
    .state = FLEET_DEVICE_ACTIVE,
    .last_seen = 1795334400, /* 2026-11-22T08:00:00Z */
    .tags = tags,
    .tag_count = ARRAY_LEN(tags),
    .attributes = attributes,
    .attribute_count = ARRAY_LEN(attributes),
};
static const struct fleet_filter_subject unknown = {.id = "new", .product = "", .hardware = "", .version = ""};

static const struct {
    const char *text;
    bool known;
    bool unknown;
    const char *canonical; /* NULL: the text itself */
} rows[] = {
    {"", true, true, NULL},
    {" \n\t", true, true, ""},
    {"id == gw-17", true, false, NULL},
    {"id==gw-17", true, false, "id == gw-17"},
    {"id != gw-17", false, true, NULL},
    {"id == GW-17", false, false, NULL},
    {"id ~ gw-*", true, false, NULL},
    {"id ~ *", true, true, NULL},
    {"id ~ \"gw-1?\"", true, false, "id ~ gw-1?"},
    {"id ~ gw-?", false, false, NULL},
    {"id ~ *-*7", true, false, NULL},
    {"id ~ gw", false, false, NULL},
    {"id ~ gw-17*", true, false, NULL},
    {"id ~ ?w-17?", false, false, NULL},
    {"id in (a, gw-17)", true, false, NULL},
    {"id in(a,new)", false, true, "id in (a, new)"},
    {"product == gateway", true, false, NULL},
    {"product != gateway", false, true, NULL},
    {"product == \"\"", false, false, NULL},
    {"hardware == board-a", true, false, NULL},
    {"hardware ~ *", true, false, NULL},
    {"version == 4.2.0", true, false, NULL},
    {"version == 4.2", false, false, NULL},
    {"version ~ 4.*", true, false, NULL},
    {"sequence == 42", true, false, NULL},
    {"sequence == 0042", true, false, "sequence == 42"},
    {"sequence != 42", false, true, NULL},
    {"sequence < 42", false, false, NULL},
    {"sequence <= 42", true, false, NULL},
    {"sequence > 41", true, false, NULL},
    {"sequence > 42", false, false, NULL},
    {"sequence >= 42", true, false, NULL},
    {"sequence >= 0", true, false, NULL},
    {"not sequence >= 0", false, true, NULL},
    {"sequence in (41, 42)", true, false, NULL},
    {"sequence in (-1, 0)", false, false, NULL},
    {"state == active", true, false, NULL},
    {"state == pending", false, true, NULL},
    {"state != active", false, true, NULL},
    {"state in (active, pending)", true, true, NULL},
    {"last_seen < 2026-11-22T08:00:00Z", false, false, NULL},
    {"last_seen <= 2026-11-22T08:00:00Z", true, false, NULL},
    {"last_seen > 2026-11-22T07:59:59Z", true, false, NULL},
    {"not last_seen >= 2026-11-22T08:00:01Z", true, true, NULL},
    {"tag == canary", true, false, NULL},
    {"tag == \"eu-west\"", true, false, "tag == eu-west"},
    {"tag == eu", false, false, NULL},
    {"tag ~ eu-*", true, false, NULL},
    {"tag != canary", false, true, NULL},
    {"tag != us", true, true, NULL},
    {"tag in (us, canary)", true, false, NULL},
    {"attribute.site == \"Köln\"", true, false, NULL},
    {"attribute.site ~ \"K?ln\"", true, false, "attribute.site ~ K?ln"},
    {"attribute.site != \"Köln\"", false, true, NULL},
    {"attribute.none == a", false, false, NULL},
    {"attribute.none != a", true, true, NULL},
    {"attribute.empty == \"\"", true, false, NULL},
    {"attribute.empty ~ *", true, false, NULL},
    {"attribute.ram >= 512", true, false, NULL},
    {"attribute.ram > 512", false, false, NULL},
    {"attribute.ram < 1000", true, false, NULL},
    {"attribute.ram == 0512", false, false, NULL},
    {"attribute.site < 5", false, false, NULL},
    {"attribute.\"ram\" in (512)", true, false, "attribute.ram in (512)"},
    {"attribute.\"the place\" == \"on \\\"top\\\"\"", true, false, NULL},
    {"id == \"and\"", false, false, NULL},
    {"id == \"a b\"", false, false, NULL},
    {"id == \"\\\\\"", false, false, NULL},
    {"product == gateway and tag == canary", true, false, NULL},
    {"product == gateway and tag == us", false, false, NULL},
    {"product == other or tag == canary", true, false, NULL},
    /* "and" before "or", "not" before both. */
    {"id == new or product == gateway and tag == us", false, true, NULL},
    {"(id == new or product == gateway) and tag == us", false, false, NULL},
    {"not id == new and tag == us", false, false, NULL},
    {"not (id == new and tag == us)", true, true, NULL},
    {"not (id == new or tag == canary)", false, false, NULL},
    {"not not id == new", false, true, NULL},
    {"((id == new))", false, true, "id == new"},
    {"not (id == new)", true, false, "not id == new"},
    {"id == a and (id == b and (id == c and id == d))", false, false, "id == a and id == b and id == c and id == d"},
    {"(id == a or id == new) or id == b", false, true, "id == a or id == new or id == b"},
    {"(id == a and id == b) or id == new", false, true, "id == a and id == b or id == new"},
};

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(arena_clear) struct arena arena;
        CLEANUP(buf_free) struct buf printed = BUF_INIT(FLEET_FILTER_MAX_BYTES);
        const struct fleet_filter *filter, *again;
        struct err err;
        arena_init(&arena, 1 << 20);
        if (!fleet_filter_parse(&arena, rows[i].text, &filter, &err))
            fail_msg("%s: %s", rows[i].text, err.text);
        if (fleet_filter_match(filter, &known) != rows[i].known || fleet_filter_match(filter, &unknown) != rows[i].unknown)
            fail_msg("%s: %d %d", rows[i].text, fleet_filter_match(filter, &known), fleet_filter_match(filter, &unknown));
        fleet_filter_print(filter, &printed);
        assert_true(buf_ok(&printed, "filter", &err));
        assert_string_equal(printed.data != NULL ? printed.data : "", rows[i].canonical != NULL ? rows[i].canonical : rows[i].text);
        assert_true(fleet_filter_parse(&arena, printed.data != NULL ? printed.data : "", &again, &err));
        assert_int_equal(fleet_filter_match(again, &known), rows[i].known);
    }
}

static void check_invalid(const char *name) {
    CLEANUP(arena_clear) struct arena arena;
    CLEANUP(buf_free) struct buf input = BUF_INIT(1 << 16);
    CLEANUP(buf_free) struct buf expect = BUF_INIT(1000);
    const struct fleet_filter *filter;
    struct err err;
    char path[PATH_MAX];
    int stem = (int)(strlen(name) - strlen(".filter"));
    arena_init(&arena, 1 << 20);
    snprintf(path, sizeof(path), PAWL_TEST_DATA "/filter/invalid/%s", name);
    assert_true(file_read(path, &input, &err));
    snprintf(path, sizeof(path), PAWL_TEST_DATA "/filter/invalid/%.*s.expect", stem, name);
    assert_true(file_read(path, &expect, &err));
    expect.data[expect.len - 1] = '\0'; /* the line feed */
    if (fleet_filter_parse(&arena, input.data, &filter, &err))
        fail_msg("%s was taken", name);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.field, "filter");
    if (strcmp(err.text, expect.data) != 0)
        fail_msg("%s: \"%s\", expected \"%s\"", name, err.text, expect.data);
}

static void test_invalid_folder(void **state) {
    int count = 0;
    (void)state;
    DIR *folder = opendir(PAWL_TEST_DATA "/filter/invalid");
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (text_ends(entry->d_name, ".filter")) {
            check_invalid(entry->d_name);
            count++;
        }
    }
    closedir(folder);
    assert_true(count >= 50);
}

/* Just inside each ceiling. */
static void test_ceilings(void **state) {
    CLEANUP(arena_clear) struct arena arena;
    CLEANUP(buf_free) struct buf text = BUF_INIT(8192);
    const struct fleet_filter *filter;
    struct err err;
    (void)state;
    arena_init(&arena, 1 << 20);
    for (int i = 0; i < FLEET_FILTER_MAX_DEPTH; i++)
        buf_text(&text, i % 2 == 0 ? "(" : "not ");
    buf_text(&text, "id == a");
    for (int i = 0; i < FLEET_FILTER_MAX_DEPTH / 2; i++)
        buf_text(&text, ")");
    assert_true(fleet_filter_parse(&arena, text.data, &filter, &err));

    buf_reset(&text);
    for (int i = 0; i < FLEET_FILTER_MAX_TERMS; i++)
        buf_printf(&text, "%sid == b", i == 0 ? "" : i % 2 == 0 ? " and " : " or ");
    assert_true(fleet_filter_parse(&arena, text.data, &filter, &err));

    buf_reset(&text);
    buf_printf(&text, "id == \"%0*d\"", FLEET_FILTER_MAX_VALUE, 0);
    assert_true(fleet_filter_parse(&arena, text.data, &filter, &err));

    CLEANUP(arena_clear) struct arena small;
    arena_init(&small, 64);
    assert_false(fleet_filter_parse(&small, text.data, &filter, &err));
    assert_int_equal(err.code, ERR_NO_MEMORY);
}

static void test_needs_and_short_cuts(void **state) {
    static const struct {
        const char *text;
        unsigned needs;
        const char *ids; /* joined by a space; NULL: not only these */
        const char *product;
    } cases[] = {
        {"", 0, NULL, NULL},
        {"product == a and sequence > 4", 0, NULL, "a"},
        {"product in (a)", 0, NULL, "a"},
        {"product in (a, b)", 0, NULL, NULL},
        {"product == a or product == b", 0, NULL, NULL},
        {"not product == a", 0, NULL, NULL},
        {"product != a", 0, NULL, NULL},
        {"product ~ a", 0, NULL, NULL},
        {"tag == x", FLEET_FILTER_TAGS, NULL, NULL},
        {"not (id == a or attribute.x == y)", FLEET_FILTER_ATTRIBUTES, NULL, NULL},
        {"tag == x and (state == active or attribute.x > 1)", FLEET_FILTER_TAGS | FLEET_FILTER_ATTRIBUTES, NULL, NULL},
        {"id == a", 0, "a", NULL},
        {"tag == x and id in (a, b, c) and product == p", FLEET_FILTER_TAGS, "a b c", "p"},
        {"id == a or id == b", 0, NULL, NULL},
        {"id != a", 0, NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(arena_clear) struct arena arena;
        CLEANUP(buf_free) struct buf joined = BUF_INIT(100);
        const struct fleet_filter *filter;
        const char *const *ids;
        size_t count;
        struct err err;
        arena_init(&arena, 1 << 16);
        assert_true(fleet_filter_parse(&arena, cases[i].text, &filter, &err));
        if (fleet_filter_needs(filter) != cases[i].needs || !text_equal(fleet_filter_product(filter), cases[i].product))
            fail_msg("%s", cases[i].text);
        bool only = fleet_filter_ids(filter, &ids, &count);
        assert_int_equal(only, cases[i].ids != NULL);
        for (size_t j = 0; only && j < count; j++)
            buf_printf(&joined, "%s%s", j > 0 ? " " : "", ids[j]);
        if (only)
            assert_string_equal(joined.data, cases[i].ids);
    }
}

/* Before tags and attributes are read: "maybe" only where the answer hangs on them. */
static void test_unread(void **state) {
    static const struct {
        const char *text;
        enum fleet_filter_answer answer;
    } cases[] = {
        {"tag == canary", FLEET_FILTER_MAYBE},
        {"not tag == canary", FLEET_FILTER_MAYBE},
        {"attribute.ram > 5", FLEET_FILTER_MAYBE},
        {"product == gateway and tag == canary", FLEET_FILTER_MAYBE},
        {"product == other and tag == canary", FLEET_FILTER_NO},
        {"tag == canary and product == other", FLEET_FILTER_NO},
        {"product == gateway or tag == canary", FLEET_FILTER_YES},
        {"tag == canary or product == gateway", FLEET_FILTER_YES},
        {"product == other or tag == canary", FLEET_FILTER_MAYBE},
        {"not (product == gateway or tag == canary)", FLEET_FILTER_NO},
        {"not (product == other and tag == canary)", FLEET_FILTER_YES},
        {"product == gateway", FLEET_FILTER_YES},
        {"", FLEET_FILTER_YES},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(arena_clear) struct arena arena;
        const struct fleet_filter *filter;
        struct err err;
        arena_init(&arena, 1 << 16);
        assert_true(fleet_filter_parse(&arena, cases[i].text, &filter, &err));
        if (fleet_filter_ask(filter, &known, FLEET_FILTER_TAGS | FLEET_FILTER_ATTRIBUTES) != cases[i].answer)
            fail_msg("%s", cases[i].text);
    }
    /* Only what is unread counts as such. */
    CLEANUP(arena_clear) struct arena arena;
    const struct fleet_filter *filter;
    struct err err;
    arena_init(&arena, 1 << 16);
    assert_true(fleet_filter_parse(&arena, "tag == us or attribute.ram > 5", &filter, &err));
    assert_int_equal(fleet_filter_ask(filter, &known, FLEET_FILTER_TAGS), FLEET_FILTER_YES);
    assert_int_equal(fleet_filter_ask(filter, &known, FLEET_FILTER_ATTRIBUTES), FLEET_FILTER_MAYBE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),     cmocka_unit_test(test_invalid_folder),
        cmocka_unit_test(test_ceilings), cmocka_unit_test(test_needs_and_short_cuts),
        cmocka_unit_test(test_unread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
