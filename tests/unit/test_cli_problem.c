/* A refusal of the server as one line, and the exit code that follows from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs those four before it */
#include <cmocka.h>
#include <string.h>

#include "cli/problem.h"
#include "common/buf.h"
#include "common/program.h"

static void one_clear_line(void **state) {
    (void)state;
    static const struct {
        long status;
        const char *body, *line;
    } cases[] = {
        {404, "{\"type\":\"urn:pawl:problem:not-found\",\"title\":\"Not found\",\"status\":404,\"detail\":\"device 'x'\"}",
         "refused: device 'x' (urn:pawl:problem:not-found)"},
        {400,
         "{\"type\":\"urn:pawl:problem:unknown-field\",\"title\":\"t\",\"status\":400,\"detail\":\"two faults\",\"errors\":[{\"field\":\"a.b\","
         "\"detail\":\"is unknown\"},{\"field\":\"c\",\"detail\":\"is too long\"}]}",
         "refused: two faults (urn:pawl:problem:unknown-field); a.b: is unknown; c: is too long"},
        {400,
         "{\"type\":\"urn:pawl:problem:invalid\",\"title\":\"t\",\"status\":400,\"detail\":\"same\",\"errors\":[{\"field\":\"id\","
         "\"detail\":\"same\"}]}",
         "refused: same (urn:pawl:problem:invalid); field id"},
        {409, "{\"type\":\"urn:pawl:problem:conflict\",\"title\":\"Conflict\",\"status\":409}", "refused: Conflict (urn:pawl:problem:conflict)"},
        {403, "{\"type\":\"urn:x\",\"detail\":\"\\u001b[31mred\",\"new_member\":[1,{}]}", ""},
        {500, "{\"type\":\"urn:pawl:problem:internal\",\"title\":\"t\",\"status\":500,\"detail\":\"no\",\"request_id\":\"abc\"}",
         "request abc: the server failed: no (urn:pawl:problem:internal)"},
        {502, "<html>Bad gateway</html>", "the server failed: HTTP status 502 without a readable problem document"},
        {404, "", "refused: HTTP status 404 without a readable problem document"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        assert_false(cli_problem_set(&err, cases[i].status, cases[i].body, strlen(cases[i].body)));
        if (cases[i].line[0] != '\0')
            assert_string_equal(err.text, cases[i].line);
        assert_null(strchr(err.text, '\033'));
        assert_null(strchr(err.text, '\n'));
    }
}

static void many_faults_stay_one_line(void **state) {
    (void)state;
    CLEANUP(buf_free) struct buf body = BUF_INIT(1 << 20);
    struct err err = {0};
    buf_text(&body, "{\"type\":\"urn:pawl:problem:invalid\",\"title\":\"t\",\"status\":400,\"detail\":\"many\",\"errors\":[");
    for (int i = 0; i < 200; i++)
        buf_printf(&body, "%s{\"field\":\"f%d\",\"detail\":\"is wrong in a long and wordy way that goes on\"}", i == 0 ? "" : ",", i);
    buf_text(&body, "]}");
    assert_false(cli_problem_set(&err, 400, body.data, body.len));
    assert_true(strlen(err.text) < ERR_TEXT_SIZE);
    assert_non_null(strstr(err.text, "f3: "));
    assert_null(strstr(err.text, "f4: "));
}

static void exit_codes(void **state) {
    (void)state;
    static const struct {
        long status;
        enum err_code code;
        enum program_exit exit;
    } cases[] = {
        {400, ERR_INVALID, EXIT_REFUSED},   {401, ERR_UNAUTHENTICATED, EXIT_REFUSED},
        {403, ERR_FORBIDDEN, EXIT_REFUSED}, {404, ERR_NOT_FOUND, EXIT_REFUSED},
        {409, ERR_CONFLICT, EXIT_REFUSED},  {412, ERR_PRECONDITION, EXIT_REFUSED},
        {413, ERR_TOO_LARGE, EXIT_REFUSED}, {418, ERR_INVALID, EXIT_REFUSED},
        {422, ERR_INVALID, EXIT_REFUSED},   {428, ERR_PRECONDITION_REQUIRED, EXIT_REFUSED},
        {429, ERR_RATE, EXIT_REFUSED},      {500, ERR_INTERNAL, EXIT_FAILED},
        {503, ERR_BUSY, EXIT_FAILED},       {302, ERR_INTERNAL, EXIT_FAILED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {.code = cli_problem_code(cases[i].status)};
        assert_int_equal(err.code, cases[i].code);
        assert_int_equal(program_exit_code(&err), cases[i].exit);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_clear_line),
        cmocka_unit_test(many_faults_stay_one_line),
        cmocka_unit_test(exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
