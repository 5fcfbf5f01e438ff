/* The command table: each row is complete, no name is doubled, help comes out of it, and a wrong command line is a usage error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those four before it */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/file.h"
#include "common/text.h"

/* Options that every command has; a row of its own must not take their names. */
static const char *const global_names[] = {"server", "ca", "token-file", "profile", "json", "quiet", "yes", "help"};
static const char global_letters[] = "spjqyh";

static void rows_are_complete(void **state) {
    (void)state;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *row = &cli_commands[i];
        assert_non_null(row->group);
        assert_non_null(cli_group_summary(row->group));
        assert_true(strlen(row->summary) > 5);
        assert_non_null(row->run);
        assert_true(row->min_operands <= row->max_operands);
        assert_int_equal(row->max_operands == 0, row->operands[0] == '\0');
        assert_ptr_equal(cli_command_find(row->group, row->verb), row); /* a doubled name would find the other */
    }
    assert_null(cli_command_find("devices", "format"));
    assert_null(cli_group_summary("device"));
}

static void groups_stand_together(void **state) {
    (void)state;
    for (size_t i = 1; i < cli_command_count; i++) {
        if (text_equal(cli_commands[i].group, cli_commands[i - 1].group))
            continue;
        for (size_t earlier = 0; earlier < i; earlier++)
            assert_string_not_equal(cli_commands[earlier].group, cli_commands[i].group);
    }
}

static void options_are_told_apart(void **state) {
    (void)state;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_options *options = cli_commands[i].options;
        for (size_t a = 0; options != NULL && a < options->count; a++) {
            const struct cli_option *row = &options->rows[a];
            assert_true(strlen(row->help) > 5);
            assert_int_equal(row->kind == OPTION_FLAG, row->value == NULL);
            assert_true(row->offset < options->size);
            assert_true(row->letter == 0 || strchr(global_letters, row->letter) == NULL);
            for (size_t g = 0; g < ARRAY_LEN(global_names); g++)
                assert_string_not_equal(row->name, global_names[g]);
            for (size_t b = 0; b < a; b++) {
                assert_string_not_equal(row->name, options->rows[b].name);
                assert_int_not_equal(row->offset, options->rows[b].offset);
            }
        }
    }
}

static char *help_of(void (*print)(FILE *out, const void *what), const void *what) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    print(out, what);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void print_program(FILE *out, const void *what) {
    (void)what;
    cli_help_program(out);
}

static void print_group(FILE *out, const void *what) {
    cli_help_group(out, what);
}

static void print_command(FILE *out, const void *what) {
    cli_help_command(out, what);
}

static void help_says_everything(void **state) {
    (void)state;
    char *program = help_of(print_program, NULL);
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *row = &cli_commands[i];
        char *group = help_of(print_group, row->group);
        char *command = help_of(print_command, row);
        assert_non_null(strstr(program, row->group));
        assert_non_null(strstr(group, row->summary));
        assert_non_null(strstr(group, row->verb));
        assert_non_null(strstr(command, row->summary));
        assert_non_null(strstr(command, row->operands));
        assert_non_null(strstr(command, "--json"));
        for (size_t a = 0; row->options != NULL && a < row->options->count; a++)
            assert_non_null(strstr(command, row->options->rows[a].help));
        free(group);
        free(command);
    }
    for (size_t g = 0; g < ARRAY_LEN(global_names); g++)
        assert_non_null(strstr(program, global_names[g]));
    assert_non_null(strstr(program, "Exit codes"));
    free(program);
}

static int run(const char *const *words) {
    char *argv[16] = {NULL};
    int argc = 0;
    for (; words[argc] != NULL; argc++) {
        argv[argc] = strdup(words[argc]);
        assert_non_null(argv[argc]);
    }
    char *owned[16];
    memcpy(owned, argv, sizeof(owned));
    int code = cli_run(argc, argv);
    for (int i = 0; i < argc; i++)
        free(owned[i]);
    return code;
}

static void command_lines(void **state) {
    (void)state;
    static const struct {
        const char *words[10];
        int code;
    } cases[] = {
        {{"pawl", "--help"}, EXIT_OK},
        {{"pawl", "--version"}, EXIT_OK},
        {{"pawl", "devices", "--help"}, EXIT_OK},
        {{"pawl", "devices", "list", "--help"}, EXIT_OK},
        {{"pawl", "--profile", "devices", "whoami", "-h"}, EXIT_OK},               /* the value of an option is no group */
        {{"pawl", "release", "publish", "--version", "1.0.0", "--help"}, EXIT_OK}, /* not the program's --version */
        {{"pawl"}, EXIT_USAGE},
        {{"pawl", "device"}, EXIT_USAGE},
        {{"pawl", "devices"}, EXIT_USAGE},
        {{"pawl", "devices", "lst"}, EXIT_USAGE},
        {{"pawl", "devices", "list", "extra"}, EXIT_USAGE},
        {{"pawl", "devices", "show"}, EXIT_USAGE},
        {{"pawl", "devices", "show", ""}, EXIT_USAGE},
        {{"pawl", "devices", "list", "--insecure"}, EXIT_USAGE},
        {{"pawl", "devices", "list", "--limit", "many"}, EXIT_USAGE},
        {{"pawl", "devices", "list", "--json", "--json"}, EXIT_USAGE},
        {{"pawl", "whoami", "--server", "https://localhost:1"}, EXIT_USAGE}, /* no authority given */
        {{"pawl", "whoami", "--server", "http://localhost:1", "--ca", "/dev/null", "--token-file", "/nonexistent"}, EXIT_USAGE},
        {{"pawl", "whoami", "--server", "https://localhost:1", "--ca", "/dev/null", "--token-file", "/nonexistent"}, EXIT_USAGE},
        {{"pawl", "keys", "list", "/nonexistent"}, EXIT_KEY},
        {{"pawl", "keys", "status", "/nonexistent"}, EXIT_KEY},
    };
    setenv("HOME", "/nonexistent", 1);
    unsetenv("PAWL_CONFIG");
    unsetenv("PAWL_TOKEN_FILE");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int code = run(cases[i].words);
        if (code != cases[i].code)
            print_message("case %zu\n", i);
        assert_int_equal(code, cases[i].code);
    }
}

/* The manual page names every command and every option. */
static void the_manual_is_complete(void **state) {
    (void)state;
    struct err err = {0};
    CLEANUP(buf_free) struct buf page = BUF_INIT(1 << 20);
    assert_true(file_read(PAWL_SOURCE_DIR "/man/pawl.1", &page, &err));
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *row = &cli_commands[i];
        char words[128];
        snprintf(words, sizeof(words), "Ic %s%s%s", row->group, row->verb[0] == '\0' ? "" : " ", row->verb);
        if (strstr(page.data, words) == NULL)
            fail_msg("man/pawl.1 does not say '%s'", words);
        for (size_t a = 0; row->options != NULL && a < row->options->count; a++) {
            snprintf(words, sizeof(words), "-%s", row->options->rows[a].name);
            if (strstr(page.data, words) == NULL)
                fail_msg("man/pawl.1 does not say '-%s' of %s %s", words, row->group, row->verb);
        }
    }
    for (size_t g = 0; g < ARRAY_LEN(global_names); g++)
        assert_non_null(strstr(page.data, global_names[g]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_complete),    cmocka_unit_test(groups_stand_together), cmocka_unit_test(options_are_told_apart),
        cmocka_unit_test(help_says_everything), cmocka_unit_test(command_lines),         cmocka_unit_test(the_manual_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
