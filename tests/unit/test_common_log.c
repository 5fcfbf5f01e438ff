/* The log line, as it stands on standard error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"

static char line[8192];

/* What the event printed, without its time. */
static const char *capture(void (*emit)(void)) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    emit();
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t len = read(ends[0], line, sizeof(line) - 1);
    assert_true(len >= 0);
    close(ends[0]);
    line[len] = '\0';
    const char *level = strstr(line, "level");
    return level == NULL ? line : level;
}

static void emit_words(void) {
    log_event(LOG_INFO, "listening", "address", "127.0.0.1:8443", "none", (char *)NULL, "text", "two words", "empty", "", (char *)NULL);
}

static void emit_nasty(void) {
    log_event(LOG_WARN, "a \"b\"", "value", "x\ny\\\x1b[0m\xff\xc2\x85=", (char *)NULL);
}

static void emit_debug(void) {
    log_event(LOG_DEBUG, "detail", (char *)NULL);
}

static void emit_error(void) {
    struct err err;
    err_set(&err, ERR_NOT_FOUND, "device 'd'");
    log_err(LOG_ERROR, "failed", &err);
}

static void emit_long(void) {
    static char value[10000];
    memset(value, '"', sizeof(value) - 1);
    log_event(LOG_INFO, "long", "first", value, "second", "x", (char *)NULL);
}

static void emit_many(void) {
    static char value[1000];
    memset(value, 'v', sizeof(value) - 1);
    log_event(LOG_INFO, "many", "a", value, "b", value, "c", value, "d", value, "e", value, "f", "g", (char *)NULL);
}

static bool line_is_json(void) {
    CLEANUP(buf_free) struct buf pretty = BUF_INIT(10000);
    struct err err;
    return json_pretty(&pretty, line, strlen(line), &err);
}

static void test_logfmt(void **state) {
    (void)state;
    log_setup(LOG_INFO, LOG_LOGFMT);
    assert_string_equal(capture(emit_words), "level=info msg=listening address=127.0.0.1:8443 text=\"two words\" empty=\"\"\n");
    assert_memory_equal(line, "time=20", 7);
    assert_string_equal(capture(emit_nasty), "level=warn msg=\"a \\\"b\\\"\" value=\"x\\u000ay\\\\\\u001b[0m\xef\xbf\xbd\\u0085=\"\n");
    assert_string_equal(capture(emit_error), "level=error msg=failed code=not-found error=\"device 'd'\"\n");
}

static void test_json(void **state) {
    (void)state;
    log_setup(LOG_INFO, LOG_JSON);
    assert_string_equal(capture(emit_words),
                        "level\":\"info\",\"msg\":\"listening\",\"address\":\"127.0.0.1:8443\",\"text\":\"two words\",\"empty\":\"\"}\n");
    assert_true(line_is_json());
    capture(emit_nasty);
    assert_true(line_is_json());
}

static void test_levels(void **state) {
    (void)state;
    log_setup(LOG_INFO, LOG_LOGFMT);
    assert_false(log_enabled(LOG_DEBUG));
    assert_string_equal(capture(emit_debug), "");
    log_setup(LOG_DEBUG, LOG_LOGFMT);
    assert_string_equal(capture(emit_debug), "level=debug msg=detail\n");
    log_setup(LOG_ERROR, LOG_LOGFMT);
    assert_string_equal(capture(emit_words), "");
    assert_true(log_enabled(LOG_ERROR));
}

/* At most 4 KiB, one line, and still whole JSON. */
static void test_long_lines_are_cut(void **state) {
    void (*const emits[])(void) = {emit_long, emit_many};
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(emits); i++) {
        log_setup(LOG_INFO, i < ARRAY_LEN(emits) ? LOG_JSON : LOG_LOGFMT);
        capture(emits[i % ARRAY_LEN(emits)]);
        size_t len = strlen(line);
        assert_true(len > 3000 && len <= 4096);
        assert_ptr_equal(strchr(line, '\n'), line + len - 1);
        if (i < ARRAY_LEN(emits))
            assert_true(line_is_json());
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logfmt),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_long_lines_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
