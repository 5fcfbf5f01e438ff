/* Tables: aligned for people, tabs for scripts, and nothing in a cell that drives a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those four before it */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table.h"

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

static void fill(struct cli_table *table) {
    struct err err;
    cli_table_init(table, &arena);
    cli_table_column(table, "DEVICE", false);
    cli_table_column(table, "SEQ", true);
    cli_table_column(table, "TAG", false);
    assert_true(cli_table_add(table, (const char *const[]){"gw-1", "7", "north"}, &err));
    assert_true(cli_table_add(table, (const char *const[]){"gw-1000", "12345", NULL}, &err));
    assert_true(cli_table_add(table, (const char *const[]){"k\xc3\xbche", "", "s\xc3\xbc"}, &err));
}

static void aligned_under_a_heading(void **state) {
    (void)state;
    struct cli_table table;
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    fill(&table);
    cli_table_print(&table, true, &out);
    assert_string_equal(out.data, "DEVICE     SEQ  TAG\n"
                                  "gw-1         7  north\n"
                                  "gw-1000  12345  -\n"
                                  "k\xc3\xbche         -  s\xc3\xbc\n");
}

static void tabs_without_heading(void **state) {
    (void)state;
    struct cli_table table;
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    fill(&table);
    cli_table_print(&table, false, &out);
    assert_string_equal(out.data, "gw-1\t7\tnorth\ngw-1000\t12345\t-\nk\xc3\xbche\t-\ts\xc3\xbc\n");
}

static void nothing_drives_the_terminal(void **state) {
    (void)state;
    static const struct {
        const char *raw, *clean;
    } cases[] = {
        {"plain", "plain"},
        {"\033[2Jgone", "?[2Jgone"},
        {"two\nlines\tand a tab", "two lines and a tab"},
        {"back\bspace\x7f", "back?space?"},
        {"c1 \xc2\x9b"
         "31m",
         "c1 ?31m"},
        {"na\xc3\xafve \xc2\xa0", "na\xc3\xafve \xc2\xa0"},
        {"cut off \xc2", "cut off \xc2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(cli_table_clean(&arena, cases[i].raw), cases[i].clean);
}

/* Characters are counted, and none is cut in two. */
static void a_line_fits_the_terminal(void **state) {
    (void)state;
    static const char *const cut[] = {"K\xc3\xb6ln?x", "K", "K\xc3\xb6", "K\xc3\xb6l", "K\xc3\xb6ln", "K\xc3\xb6ln?", "K\xc3\xb6ln?x"};
    for (size_t columns = 0; columns < ARRAY_LEN(cut); columns++)
        assert_string_equal(cli_table_line(&arena, "K\xc3\xb6ln\033x", columns), cut[columns]);
    assert_string_equal(cli_table_line(&arena, NULL, 0), "");
}

static void a_full_arena_is_an_error(void **state) {
    (void)state;
    struct arena small;
    struct cli_table table;
    struct err err = {0};
    arena_init(&small, 64);
    cli_table_init(&table, &small);
    cli_table_column(&table, "A", false);
    assert_false(cli_table_add(&table, (const char *const[]){"text"}, &err));
    assert_int_equal(err.code, ERR_NO_MEMORY);
    assert_int_equal(table.rows, 0);
    arena_clear(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(aligned_under_a_heading, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tabs_without_heading, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_drives_the_terminal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_fits_the_terminal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_arena_is_an_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
