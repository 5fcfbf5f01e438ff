/* Passphrases from files and descriptors, and questions where nobody can answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those four before it */
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/prompt.h"
#include "common/text.h"
#include "tests/unit/folder.h"

static char path[TEMPORARY_SIZE + 8];

static int set_up(void **state) {
    folder_make(state);
    return text_copy(path, sizeof(path), in_folder("file")) ? 0 : -1;
}

static void write_file(const char *text, mode_t mode) {
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static struct cli_passphrase_source from_file(void) {
    return (struct cli_passphrase_source){.file = path, .file_option = "passphrase-file", .fd_option = "passphrase-fd"};
}

static void from_a_file(void **state) {
    (void)state;
    static const struct {
        const char *text;
        mode_t mode;
        bool making; /* asked for twice on a terminal: must be long enough */
        enum err_code code;
    } cases[] = {
        {"correct horse\n", 0600, true, ERR_NONE}, {"correct horse", 0400, true, ERR_NONE},  {"two\nlines\n", 0600, false, ERR_PASSPHRASE},
        {"\n", 0600, false, ERR_PASSPHRASE},       {"", 0600, false, ERR_PASSPHRASE},        {"short\n", 0600, true, ERR_PASSPHRASE},
        {"short\n", 0600, false, ERR_NONE},        {"correct horse\n", 0640, true, ERR_KEY}, {"correct horse\n", 0604, false, ERR_KEY},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cli cli = {.notes = stderr};
        struct err err = {0};
        CLEANUP(buf_wipe) struct buf passphrase = {0};
        const struct cli_passphrase_source source = from_file();
        write_file(cases[i].text, cases[i].mode);
        assert_int_equal(cli_prompt_passphrase(&cli, &source, "the keys", cases[i].making, &passphrase, &err), cases[i].code == ERR_NONE);
        assert_int_equal(err.code, cases[i].code);
        assert_null(strstr(err.text, "horse"));
        assert_null(strstr(err.text, "short")); /* no secret in a message */
        if (cases[i].code == ERR_NONE) {
            assert_int_equal(passphrase.len, strcspn(cases[i].text, "\n"));
            assert_memory_equal(passphrase.data, cases[i].text, passphrase.len);
        } else {
            assert_null(passphrase.data);
        }
    }
}

static void from_a_descriptor(void **state) {
    (void)state;
    int ends[2];
    char number[16];
    struct cli cli = {.notes = stderr};
    struct err err = {0};
    CLEANUP(buf_wipe) struct buf passphrase = {0};
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "first line\nsecond\n", 18), 18);
    close(ends[1]);
    snprintf(number, sizeof(number), "%d", ends[0]);
    const struct cli_passphrase_source source = {.fd = number, .file_option = "passphrase-file", .fd_option = "passphrase-fd"};
    assert_true(cli_prompt_passphrase(&cli, &source, "the keys", true, &passphrase, &err));
    assert_string_equal(passphrase.data, "first line");
    buf_wipe(&passphrase);
    assert_true(cli_prompt_passphrase(&cli, &source, "the keys", false, &passphrase, &err)); /* only one line was taken */
    assert_string_equal(passphrase.data, "second");
    buf_wipe(&passphrase);
    assert_false(cli_prompt_passphrase(&cli, &source, "the keys", false, &passphrase, &err));
    assert_int_equal(err.code, ERR_PASSPHRASE);
    close(ends[0]);
}

static void wrong_sources(void **state) {
    (void)state;
    struct cli cli = {.notes = stderr};
    struct err err = {0};
    struct buf passphrase = {0};
    struct cli_passphrase_source source = from_file();
    source.fd = "3";
    assert_false(cli_prompt_passphrase(&cli, &source, "the keys", false, &passphrase, &err));
    assert_int_equal(err.code, ERR_USAGE);
    source.file = NULL;
    static const char *const numbers[] = {"-1", "x", "", "3 ", "99999999999"};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        source.fd = numbers[i];
        assert_false(cli_prompt_passphrase(&cli, &source, "the keys", false, &passphrase, &err));
        assert_int_equal(err.code, ERR_USAGE);
    }
    source.fd = NULL;
    source.file = "/nonexistent/passphrase";
    assert_false(cli_prompt_passphrase(&cli, &source, "the keys", false, &passphrase, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_null(passphrase.data);
}

static void nobody_to_ask(void **state) {
    (void)state;
    struct cli cli = {.notes = stderr};
    struct err err = {0};
    assert_false(cli_prompt_confirm(&cli, "Really?", &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "--yes"));
    cli.yes = true;
    assert_true(cli_prompt_confirm(&cli, "Really?", &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(from_a_file, set_up, folder_drop),
        cmocka_unit_test(from_a_descriptor),
        cmocka_unit_test_setup_teardown(wrong_sources, set_up, folder_drop),
        cmocka_unit_test(nobody_to_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
