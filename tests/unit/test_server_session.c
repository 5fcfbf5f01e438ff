/* The session store: single use, ends of life, devices that are dropped, generations, a full table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "server/session.h"

enum { NOW = 1800000000 };

static struct session_record record_of(unsigned number, const char *device) {
    struct session_record record = {.psk_len = 32, .cipher = 0x1301, .created_at = NOW, .verified_at = NOW, .not_after = NOW + 90 * 86400};
    memcpy(record.id, &number, sizeof(number));
    memset(record.psk, (int)number, 32);
    assert_true(text_copy(record.device_id, sizeof(record.device_id), device));
    return record;
}

static void test_single_use(void **state) {
    struct session_store *store = session_store_new(64);
    struct session_record record = record_of(1, "a"), other = record_of(2, "a"), got;
    (void)state;
    assert_true(session_store_put(store, &record, NOW));
    assert_false(session_store_take(store, other.id, NOW, &got));
    assert_true(session_store_take(store, record.id, NOW, &got));
    assert_string_equal(got.device_id, "a");
    assert_memory_equal(got.psk, record.psk, sizeof(record.psk));
    assert_false(session_store_take(store, record.id, NOW, &got));
    session_store_free(store);
}

static void test_ends(void **state) {
    static const struct {
        int64_t verified, not_after, at;
        bool good;
    } cases[] = {
        {NOW, NOW + 864000, NOW + SESSION_MAX_AGE_S - 1, true},
        {NOW, NOW + 864000, NOW + SESSION_MAX_AGE_S, false},
        {NOW - 86000, NOW + 864000, NOW + 399, true},
        {NOW - 86000, NOW + 864000, NOW + 400, false},
        {NOW, NOW + 100, NOW + 99, true},
        {NOW, NOW + 100, NOW + 100, false},
        {NOW, NOW + 864000, NOW - 301, false}, /* made in the future: the clock was set back */
    };
    struct session_store *store = session_store_new(64);
    struct session_record got;
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct session_record record = record_of(i + 1, "a");
        record.verified_at = (uint32_t)cases[i].verified;
        record.not_after = (uint32_t)cases[i].not_after;
        assert_true(session_store_put(store, &record, NOW));
        assert_int_equal(session_store_take(store, record.id, cases[i].at, &got), cases[i].good);
    }
    struct session_record late = record_of(99, "a");
    late.not_after = NOW - 1;
    assert_false(session_store_put(store, &late, NOW));
    session_store_free(store);
}

static void test_drop_device(void **state) {
    struct session_store *store = session_store_new(64);
    struct session_record a = record_of(1, "a"), b = record_of(2, "b"), got;
    (void)state;
    assert_true(session_store_put(store, &a, NOW));
    assert_true(session_store_put(store, &b, NOW));
    session_store_drop_device(store, "a");
    assert_false(session_store_take(store, a.id, NOW, &got));
    assert_true(session_store_take(store, b.id, NOW, &got));
    session_store_free(store);
}

static void test_generations(void **state) {
    struct session_store *store = session_store_new(64);
    struct session_record old = record_of(1, "a"), late = record_of(2, "a"), got;
    (void)state;
    assert_true(session_store_put(store, &old, NOW));
    session_store_flush(store);
    assert_false(session_store_take(store, old.id, NOW, &got));
    assert_false(session_store_put(store, &late, NOW)); /* by a connection that began before the flush */
    late.generation = session_store_generation(store);
    assert_true(session_store_put(store, &late, NOW));
    assert_true(session_store_take(store, late.id, NOW, &got));
    session_store_free(store);
}

static void test_full(void **state) {
    struct session_store *store = session_store_new(1); /* 16 sets of 8: those of one set have equal low bits */
    struct session_record got;
    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        struct session_record record = record_of(i * 16 + 1, "a");
        record.created_at = NOW + i;
        assert_true(session_store_put(store, &record, NOW + i));
    }
    for (unsigned i = 0; i < 9; i++) {
        struct session_record record = record_of(i * 16 + 1, "a");
        assert_int_equal(session_store_take(store, record.id, NOW + 10, &got), i > 0); /* the oldest gave way */
    }
    session_store_free(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_use),  cmocka_unit_test(test_ends), cmocka_unit_test(test_drop_device),
        cmocka_unit_test(test_generations), cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
