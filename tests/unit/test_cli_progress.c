/* The progress line as a pure function: figures, the bar, and how it gives way in a narrow terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those four before it */
#include <cmocka.h>
#include <string.h>

#include "cli/progress.h"

#define MIB (INT64_C(1) << 20)

static void sizes_for_people(void **state) {
    (void)state;
    static const struct {
        int64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},       {1023, "1023 B"},       {1024, "1.0 KiB"},      {1536, "1.5 KiB"},      {MIB - 1, "1.0 MiB"},
        {MIB, "1.0 MiB"}, {27 * MIB, "27.0 MiB"}, {MIB << 10, "1.0 GiB"}, {MIB << 20, "1.0 TiB"}, {MIB << 30, "1024.0 TiB"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[32];
        cli_progress_size(text, sizeof(text), cases[i].bytes);
        assert_string_equal(text, cases[i].text);
    }
}

static void the_line(void **state) {
    (void)state;
    static const struct {
        int64_t done, total, elapsed_ms;
        size_t columns;
        const char *line;
    } cases[] = {
        {0, 8 * MIB, 0, 120, "up   0 %  [..............................]  0 B of 8.0 MiB"},
        {2 * MIB, 8 * MIB, 2000, 120, "up  25 %  [#######.......................]  2.0 MiB of 8.0 MiB  1.0 MiB/s  0:06 left"},
        {8 * MIB, 8 * MIB, 4000, 120, "up 100 %  [##############################]  8.0 MiB of 8.0 MiB  2.0 MiB/s"},
        {MIB, 7201 * MIB, 1000, 120, "up   0 %  [..............................]  1.0 MiB of 7.0 GiB  1.0 MiB/s  2:00:00 left"},
        {2 * MIB, 8 * MIB, 2000, 64, "up  25 %  [##........]  2.0 MiB of 8.0 MiB  1.0 MiB/s  0:06 left"},
        {2 * MIB, 8 * MIB, 2000, 58, "up  25 %  2.0 MiB of 8.0 MiB  1.0 MiB/s  0:06 left"},
        {2 * MIB, 8 * MIB, 2000, 20, "up  25 %  2.0 MiB of"},
        {0, 0, 0, 80, "up 100 %  [##############################]  0 B of 0 B"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char line[CLI_PROGRESS_LINE_SIZE];
        cli_progress_render(line, "up", cases[i].done, cases[i].total, cases[i].elapsed_ms, cases[i].columns);
        assert_string_equal(line, cases[i].line);
        assert_true(strlen(line) <= cases[i].columns);
    }
}

static void silent_without_a_terminal(void **state) {
    (void)state;
    struct cli_progress progress;
    cli_progress_begin(&progress, NULL, "up");
    cli_progress_update(&progress, 1, 2);
    cli_progress_end(&progress, 2, 2);
    assert_int_equal(progress.drawn_ms, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_for_people),
        cmocka_unit_test(the_line),
        cmocka_unit_test(silent_without_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
