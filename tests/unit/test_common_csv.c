/* CSV lines: split, refused, and written so that they are read as the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/csv.h"
#include "common/text.h"

enum { CELLS = 4 };

static void test_split(void **state) {
    static const struct {
        const char *line;
        size_t count;
        const char *cells[CELLS];
    } rows[] = {
        {"", 1, {""}},
        {"a", 1, {"a"}},
        {"a,b,c", 3, {"a", "b", "c"}},
        {",", 2, {"", ""}},
        {"a,,c,", 4, {"a", "", "c", ""}},
        {" a , b ", 2, {" a ", " b "}},
        {"\"a\"", 1, {"a"}},
        {"\"\"", 1, {""}},
        {"\"a,b\",c", 2, {"a,b", "c"}},
        {"\"say \"\"hi\"\"\",x", 2, {"say \"hi\"", "x"}},
        {"\"\"\"\"", 1, {"\""}},
        {"\"\"\"a\"\"\",\"\"", 2, {"\"a\"", ""}},
        {"K\xc3\xb6ln,x", 2, {"K\xc3\xb6ln", "x"}},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *cells[CELLS];
        char line[64];
        size_t count;
        struct err err;
        assert_true(text_copy(line, sizeof(line), rows[i].line));
        if (!csv_split(line, cells, CELLS, &count, &err))
            fail_msg("%s: %s", rows[i].line, err.text);
        assert_int_equal(count, rows[i].count);
        for (size_t j = 0; j < count; j++)
            assert_string_equal(cells[j], rows[i].cells[j]);
    }
}

static void test_refused(void **state) {
    static const struct {
        const char *line, *message;
    } rows[] = {
        {"\"a", "a quote is not closed on its line"},
        {"\"", "a quote is not closed on its line"},
        {"\"a\"\"", "a quote is not closed on its line"},
        {"\"a\"b", "expected ',' behind a closing quote"},
        {"a\"b\"", "a quote within a cell that does not begin with one"},
        {"a,b,c,d,e", "more than 4 cells"},
        {",,,,", "more than 4 cells"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *cells[CELLS];
        char line[64];
        size_t count;
        struct err err;
        assert_true(text_copy(line, sizeof(line), rows[i].line));
        assert_false(csv_split(line, cells, CELLS, &count, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.text, rows[i].message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
