/* A reply's head, and what it means for a download: the table of cases. */
#include "agent_common.h"

#include "agent/response.h"

static struct agent_response head(const char *const *lines) {
    struct agent_response response;
    agent_response_init(&response);
    for (; *lines != NULL; lines++)
        agent_response_line(&response, *lines, strlen(*lines));
    return response;
}

#define HEAD(...) head((const char *const[]){__VA_ARGS__, NULL})

static void test_reads_what_it_needs(UNUSED void **state) {
    struct agent_response response = HEAD("HTTP/1.1 206 Partial Content\r\n", "Content-Length: 60\r\n", "ETag: \"abc\"\r\n",
                                          "content-range:bytes 40-99/100\r\n", "POLL-AFTER: 300 \r\n", "Retry-After: 7\r\n",
                                          "Content-Type: application/problem+json; charset=utf-8\r\n", "\r\n");
    assert_int_equal(response.status, 206);
    assert_int_equal(response.content_length, 60);
    assert_string_equal(response.etag, "\"abc\"");
    assert_true(response.has_range);
    assert_int_equal(response.range_first, 40);
    assert_int_equal(response.range_last, 99);
    assert_int_equal(response.range_total, 100);
    assert_int_equal(response.poll_after_s, 300);
    assert_int_equal(response.retry_after_s, 7);
    assert_true(response.problem);
}

static void test_a_new_status_line_forgets_the_interim_reply(UNUSED void **state) {
    struct agent_response response = HEAD("HTTP/1.1 103 Early Hints", "ETag: \"old\"", "", "HTTP/1.1 200 OK", "Content-Length: 5");
    assert_int_equal(response.status, 200);
    assert_string_equal(response.etag, "");
    assert_int_equal(response.content_length, 5);
}

static void test_what_cannot_be_read_counts_as_not_said(UNUSED void **state) {
    static const char *const tags[] = {"ETag: W/\"weak\"", "ETag: abc",     "ETag: \"\"",  "ETag: \"a\"b\"",
                                       "ETag: \"a\x01z\"", "ETag: \"a b\"", "ETag: \"abc", "ETag: \"\xc3\xa4\""};
    for (size_t i = 0; i < ARRAY_LEN(tags); i++)
        assert_string_equal(HEAD("HTTP/1.1 200 OK", "ETag: \"good\"", tags[i]).etag, "");
    assert_int_equal(HEAD("HTTP/1.1 200 OK", "Content-Length: -1").content_length, -1);
    assert_int_equal(HEAD("HTTP/1.1 200 OK", "Content-Length: 1e3").content_length, -1);
    assert_int_equal(HEAD("HTTP/1.1 200 OK", "Content-Length: 99999999999999999999").content_length, -1);
    assert_int_equal(HEAD("HTTP/1.1 200 OK", "Retry-After: Sun, 22 Nov 2026 08:49:37 GMT").retry_after_s, 0);
    assert_int_equal(HEAD("HTTP/1.1 200 OK", "Poll-After: 0").poll_after_s, 0);
    assert_int_equal(HEAD("HTTP/1.1 2000 OK").status, 0);
    assert_int_equal(HEAD("HTTP/1.1").status, 0);
}

static void test_content_range(UNUSED void **state) {
    static const struct {
        const char *text;
        bool good;
        int64_t first, last, total;
    } cases[] = {
        {"bytes 0-0/1", true, 0, 0, 1},
        {"bytes 5-9/10", true, 5, 9, 10},
        {"Bytes 5-9/10", true, 5, 9, 10},
        {"bytes 5-9/*", true, 5, 9, -1},
        {"bytes */10", true, -1, -1, 10},
        {"bytes 4294967296-8589934591/8589934592", true, INT64_C(4294967296), INT64_C(8589934591), INT64_C(8589934592)},
        {"bytes */*", false, 0, 0, 0},
        {"bytes 9-5/10", false, 0, 0, 0},
        {"bytes 5-10/10", false, 0, 0, 0},
        {"bytes 5-9/10 ", false, 0, 0, 0},
        {"bytes -9/10", false, 0, 0, 0},
        {"bytes 5-/10", false, 0, 0, 0},
        {"bytes 5-9", false, 0, 0, 0},
        {"bytes=5-9/10", false, 0, 0, 0},
        {"items 5-9/10", false, 0, 0, 0},
        {"bytes 99999999999999999999-5/10", false, 0, 0, 0},
        {"", false, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct agent_response response;
        agent_response_init(&response);
        assert_int_equal(agent_response_range(cases[i].text, &response), cases[i].good);
        assert_int_equal(response.has_range, cases[i].good);
        if (cases[i].good) {
            assert_int_equal(response.range_first, cases[i].first);
            assert_int_equal(response.range_last, cases[i].last);
            assert_int_equal(response.range_total, cases[i].total);
        }
    }
}

static void test_decisions(UNUSED void **state) {
    static const char tag[] = "\"t\"";
    static const struct agent_have none = {0, 100, NULL}, part = {40, 100, tag}, untagged = {40, 100, NULL};
    static const struct {
        const char *const lines[5];
        const struct agent_have *have;
        enum agent_body body;
        enum err_code code;
    } cases[] = {
        {{"HTTP/1.1 200 OK", "Content-Length: 100"}, &none, AGENT_BODY_WHOLE, ERR_NONE},
        {{"HTTP/1.1 200 OK"}, &none, AGENT_BODY_WHOLE, ERR_NONE},
        {{"HTTP/1.1 200 OK", "Content-Length: 100", "ETag: \"other\""}, &part, AGENT_BODY_WHOLE, ERR_NONE},
        {{"HTTP/1.1 200 OK", "Content-Length: 101"}, &none, AGENT_BODY_REFUSE, ERR_LENGTH},
        {{"HTTP/1.1 200 OK", "Content-Length: 99"}, &part, AGENT_BODY_REFUSE, ERR_LENGTH},
        {{"HTTP/1.1 206 P", "ETag: \"t\"", "Content-Range: bytes 40-99/100", "Content-Length: 60"}, &part, AGENT_BODY_APPEND, ERR_NONE},
        {{"HTTP/1.1 206 P", "ETag: \"t\"", "Content-Range: bytes 40-99/100"}, &part, AGENT_BODY_APPEND, ERR_NONE},
        {{"HTTP/1.1 206 P", "ETag: \"t\"", "Content-Range: bytes 40-99/100", "Content-Length: 61"}, &part, AGENT_BODY_REFUSE, ERR_RANGE},
        {{"HTTP/1.1 206 P", "ETag: \"u\"", "Content-Range: bytes 40-99/100"}, &part, AGENT_BODY_REFUSE, ERR_RANGE},
        {{"HTTP/1.1 206 P", "Content-Range: bytes 40-99/100"}, &part, AGENT_BODY_REFUSE, ERR_RANGE},
        {{"HTTP/1.1 206 P", "ETag: \"t\"", "Content-Range: bytes 41-99/100"}, &part, AGENT_BODY_REFUSE, ERR_RANGE},
        {{"HTTP/1.1 206 P", "ETag: \"t\"", "Content-Range: bytes 0-99/100"}, &part, AGENT_BODY_REFUSE, ERR_RANGE},
        {{"HTTP/1.1 206 P", "ETag: \"t\"", "Content-Range: bytes 40-98/100"}, &part, AGENT_BODY_REFUSE, ERR_RANGE},
        {{"HTTP/1.1 206 P", "ETag: \"t\"", "Content-Range: bytes 40-99/200"}, &part, AGENT_BODY_REFUSE, ERR_LENGTH},
        {{"HTTP/1.1 206 P", "ETag: \"t\"", "Content-Range: bytes 40-99/*"}, &part, AGENT_BODY_REFUSE, ERR_RANGE},
        {{"HTTP/1.1 206 P", "ETag: \"t\""}, &part, AGENT_BODY_REFUSE, ERR_RANGE},
        {{"HTTP/1.1 206 P", "ETag: \"t\"", "Content-Range: bytes 0-99/100"}, &none, AGENT_BODY_REFUSE, ERR_RANGE},
        {{"HTTP/1.1 206 P", "ETag: \"t\"", "Content-Range: bytes 40-99/100"}, &untagged, AGENT_BODY_REFUSE, ERR_RANGE},
        {{"HTTP/1.1 416 R", "Content-Range: bytes */100"}, &part, AGENT_BODY_ANEW, ERR_NONE},
        {{"HTTP/1.1 416 R"}, &part, AGENT_BODY_ANEW, ERR_NONE},
        {{"HTTP/1.1 416 R", "Content-Range: bytes */30"}, &part, AGENT_BODY_REFUSE, ERR_LENGTH},
        {{"HTTP/1.1 416 R", "Content-Range: bytes */100"}, &none, AGENT_BODY_REFUSE, ERR_RANGE},
        {{"HTTP/1.1 412 P"}, &part, AGENT_BODY_ANEW, ERR_NONE},
        {{"HTTP/1.1 412 P"}, &none, AGENT_BODY_REFUSE, ERR_NETWORK},
        {{"HTTP/1.1 403 F"}, &part, AGENT_BODY_REFUSE, ERR_NOT_ENTITLED},
        {{"HTTP/1.1 404 N"}, &part, AGENT_BODY_REFUSE, ERR_NOT_FOUND},
        {{"HTTP/1.1 429 T"}, &part, AGENT_BODY_REFUSE, ERR_BUSY},
        {{"HTTP/1.1 500 I"}, &part, AGENT_BODY_REFUSE, ERR_BUSY},
        {{"HTTP/1.1 503 S"}, &none, AGENT_BODY_REFUSE, ERR_BUSY},
        {{"HTTP/1.1 302 F", "Location: https://elsewhere/"}, &none, AGENT_BODY_REFUSE, ERR_NETWORK},
        {{"HTTP/1.1 304 N", "ETag: \"t\""}, &part, AGENT_BODY_REFUSE, ERR_NETWORK},
        {{"HTTP/1.1 204 N"}, &none, AGENT_BODY_REFUSE, ERR_NETWORK},
        {{"nonsense"}, &none, AGENT_BODY_REFUSE, ERR_NETWORK},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct agent_response response = head(cases[i].lines);
        if (agent_response_decide(&response, cases[i].have, &err) != cases[i].body || err.code != cases[i].code)
            fail_msg("case %zu (%s): body %d code %s", i, cases[i].lines[0], (int)agent_response_decide(&response, cases[i].have, &err),
                     err_tag(err.code));
    }
}

static void test_resumes_only_what_can_be_of_one_piece(UNUSED void **state) {
    assert_true(agent_response_may_resume(&(struct agent_have){1, 100, "\"t\""}));
    assert_true(agent_response_may_resume(&(struct agent_have){99, 100, "\"t\""}));
    assert_false(agent_response_may_resume(&(struct agent_have){0, 100, "\"t\""}));
    assert_false(agent_response_may_resume(&(struct agent_have){100, 100, "\"t\""}));
    assert_false(agent_response_may_resume(&(struct agent_have){40, 100, NULL}));
    assert_false(agent_response_may_resume(&(struct agent_have){40, 100, "W/\"t\""}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_it_needs),
        cmocka_unit_test(test_a_new_status_line_forgets_the_interim_reply),
        cmocka_unit_test(test_what_cannot_be_read_counts_as_not_said),
        cmocka_unit_test(test_content_range),
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_resumes_only_what_can_be_of_one_piece),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
