/* Preconditions row by row, in the order that RFC 9110 §13.2.2 gives them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/conditional.h"

#define TAG   "\"abc\""
#define OTHER "\"abd\""
#define DATE  "Sun, 06 Nov 1994 08:49:37 GMT"
#define LATER "Sun, 06 Nov 1994 08:49:38 GMT"
#define SOON  "Sun, 06 Nov 1994 08:49:36 GMT"

static const struct api_validators validators = {.etag = TAG, .modified_at = 784111777};

struct row {
    struct api_conditions conditions;
    enum api_condition expected;
};

static void test_decide(void **state) {
    static const struct row rows[] = {
        {{0}, API_CONDITION_PASS},
        /* If-Match: strong comparison */
        {{.if_match = TAG}, API_CONDITION_PASS},
        {{.if_match = "*"}, API_CONDITION_PASS},
        {{.if_match = OTHER ", " TAG}, API_CONDITION_PASS},
        {{.if_match = " ," TAG " , "}, API_CONDITION_PASS},
        {{.if_match = OTHER}, API_CONDITION_FAILED},
        {{.if_match = "W/" TAG}, API_CONDITION_FAILED},
        {{.if_match = ""}, API_CONDITION_FAILED},
        {{.if_match = "abc"}, API_CONDITION_FAILED},
        {{.if_match = TAG " " OTHER}, API_CONDITION_FAILED},
        {{.if_match = "\"abc"}, API_CONDITION_FAILED},
        {{.if_match = TAG ", broken"}, API_CONDITION_FAILED},
        /* If-Unmodified-Since, unless there is If-Match */
        {{.if_unmodified_since = DATE}, API_CONDITION_PASS},
        {{.if_unmodified_since = LATER}, API_CONDITION_PASS},
        {{.if_unmodified_since = SOON}, API_CONDITION_FAILED},
        {{.if_unmodified_since = "yesterday"}, API_CONDITION_PASS},
        {{.if_match = TAG, .if_unmodified_since = SOON}, API_CONDITION_PASS},
        /* If-None-Match: weak comparison */
        {{.if_none_match = TAG}, API_CONDITION_NOT_MODIFIED},
        {{.if_none_match = "W/" TAG}, API_CONDITION_NOT_MODIFIED},
        {{.if_none_match = "*"}, API_CONDITION_NOT_MODIFIED},
        {{.if_none_match = OTHER ",W/" OTHER "," TAG}, API_CONDITION_NOT_MODIFIED},
        {{.if_none_match = OTHER}, API_CONDITION_PASS},
        {{.if_none_match = "abc"}, API_CONDITION_PASS},
        {{.if_none_match = "w/" TAG}, API_CONDITION_PASS},
        {{.if_none_match = "\"ab\""}, API_CONDITION_PASS},
        {{.if_none_match = "\"abcd\""}, API_CONDITION_PASS},
        /* If-Modified-Since, unless there is If-None-Match */
        {{.if_modified_since = DATE}, API_CONDITION_NOT_MODIFIED},
        {{.if_modified_since = LATER}, API_CONDITION_NOT_MODIFIED},
        {{.if_modified_since = SOON}, API_CONDITION_PASS},
        {{.if_modified_since = "1994"}, API_CONDITION_PASS},
        {{.if_none_match = OTHER, .if_modified_since = LATER}, API_CONDITION_PASS},
        /* both kinds: the first decides */
        {{.if_match = OTHER, .if_none_match = TAG}, API_CONDITION_FAILED},
        {{.if_match = TAG, .if_none_match = TAG}, API_CONDITION_NOT_MODIFIED},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum api_condition got = api_conditional_decide(&rows[i].conditions, &validators);
        if (got != rows[i].expected)
            fail_msg("row %zu: %d where %d is expected", i, (int)got, (int)rows[i].expected);
    }
}

static void test_without_a_date(void **state) {
    static const struct api_validators undated = {.etag = TAG};
    (void)state;
    assert_int_equal(api_conditional_decide(&(struct api_conditions){.if_modified_since = LATER}, &undated), API_CONDITION_PASS);
    assert_int_equal(api_conditional_decide(&(struct api_conditions){.if_unmodified_since = SOON}, &undated), API_CONDITION_PASS);
    assert_false(api_conditional_range(DATE, &undated));
}

static void test_if_range(void **state) {
    static const struct {
        const char *text;
        bool expected;
    } rows[] = {
        {NULL, true}, {TAG, true},    {DATE, true},     {OTHER, false},          {"W/" TAG, false}, {LATER, false},  {SOON, false},   {"", false},
        {"*", false}, {"abc", false}, {TAG "x", false}, {TAG ", " OTHER, false}, {"\"abc", false},  {TAG " ", true}, {"W/\"", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (api_conditional_range(rows[i].text, &validators) != rows[i].expected)
            fail_msg("If-Range '%s'", rows[i].text != NULL ? rows[i].text : "(none)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide),
        cmocka_unit_test(test_without_a_date),
        cmocka_unit_test(test_if_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
