/* Rates: the bucket's arithmetic over simulated time, and who shares which bucket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "server/bucket.h"
#include "server/pace.h"

static const int64_t second = 1000000000;

enum { PIECE = 16384 };

/* Sends pieces for `seconds`, each as soon as it may, but up to late_ns later, as a busy machine does. Bytes that were sent. */
static int64_t run(struct bucket *bucket, int64_t from_ns, int64_t seconds, int64_t late_ns) {
    int64_t now = from_ns, sent = 0, turn = 0;
    while (now < from_ns + seconds * second) {
        int64_t at = bucket_reserve(bucket, PIECE, now);
        now = at > now ? at + (late_ns ? turn++ * 7919 * 1000 % late_ns : 0) : now;
        sent += now < from_ns + seconds * second ? PIECE : 0;
    }
    return sent;
}

static void expect_about(int64_t found, int64_t expected, int64_t slack) {
    if (found < expected - slack || found > expected + slack)
        fail_msg("%lld, expected %lld give or take %lld", (long long)found, (long long)expected, (long long)slack);
}

/* Within one per cent and the burst, whatever the rate, on time or late. */
static void test_rates(void **state) {
    static const int64_t rates[] = {1000, 16384, 100000, 1000000, 12500000, 125000000};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rates); i++)
        for (int64_t late_ms = 0; late_ms <= BUCKET_BURST_MS / 2; late_ms += BUCKET_BURST_MS / 2) {
            struct bucket bucket = {.bytes_per_s = rates[i]};
            int64_t seconds = rates[i] < 100000 ? 600 : 20;
            int64_t slack = rates[i] * seconds / 100 + rates[i] * BUCKET_BURST_MS / 1000 + PIECE;
            expect_about(run(&bucket, 5 * second, seconds, late_ms * 1000000), rates[i] * seconds, slack);
        }
}

/* A pause earns a quarter of a second's bytes, not more. */
static void test_burst(void **state) {
    struct bucket bucket = {.bytes_per_s = 1000000};
    int64_t now = 5 * second, at_once = 0;
    (void)state;
    (void)run(&bucket, now, 1, 0);
    now += 3600 * second;
    assert_true(bucket_is_idle(&bucket, now));
    while (bucket_reserve(&bucket, PIECE, now) <= now)
        at_once += PIECE;
    expect_about(at_once, 250000, PIECE);
    assert_false(bucket_is_idle(&bucket, now));
}

/* Odd lengths and great rates: neither overflow nor a rounding that adds up. */
static void test_arithmetic(void **state) {
    struct bucket bucket = {.bytes_per_s = 3}, none = {0}, great = {.bytes_per_s = INT64_C(1) << 40};
    int64_t now = 5 * second;
    (void)state;
    assert_int_equal(bucket_reserve(&none, SIZE_MAX >> 1, now), now);
    assert_int_equal(none.free_at_ns, 0);
    int64_t first = bucket_reserve(&bucket, 10, now);
    assert_int_equal(bucket.free_at_ns - first, 3333333333);
    first = bucket_reserve(&great, (size_t)1 << 50, now);
    assert_int_equal(great.free_at_ns - first, 1024 * second);
    first = bucket_reserve(&great, ((size_t)1 << 40) - 1, now);
    assert_in_range(great.free_at_ns - first, second / 1000 * 999, second / 1000 * 1001);
}

static void test_shared(void **state) {
    struct pace *pace = pace_new(4000000, 1000000);
    int64_t now = 5 * second;
    (void)state;
    struct pace_device *one = pace_enter(pace, "a", now), *same = pace_enter(pace, "a", now), *other = pace_enter(pace, "b", now);
    assert_ptr_equal(one, same); /* a device's connections share a bucket */
    assert_ptr_not_equal(one, other);
    assert_int_equal(pace_count(pace), 2);
    /* Two connections of one device: together as fast as one. */
    int64_t last = 0;
    for (int i = 0; i < 1000000 / PIECE; i++)
        last = pace_reserve(pace, i % 2 ? one : same, PIECE, now);
    expect_about(last - now, second - second / 4, second / 20);
    assert_true(pace_reserve(pace, other, PIECE, now) <= now); /* the other has its own */
    pace_leave(pace, one, 0);
    pace_leave(pace, same, 0);
    pace_leave(pace, other, 0);
    /* Who comes back at once finds his past, and is forgotten when it is over. */
    one = pace_enter(pace, "a", now);
    assert_true(pace_reserve(pace, one, PIECE, now) > now);
    pace_leave(pace, one, 0);
    now += 3600 * second;
    other = pace_enter(pace, "b", now);
    one = pace_enter(pace, "a", now);
    assert_true(pace_reserve(pace, one, PIECE, now) <= now);
    pace_leave(pace, one, 0);
    pace_leave(pace, other, 0);
    pace_free(pace);
}

/* All together are as fast as the fleet may be, and take turns. */
static void test_fleet(void **state) {
    struct pace *pace = pace_new(1000000, 4000000);
    struct pace_device *devices[4];
    int64_t now = 5 * second, last = 0;
    (void)state;
    for (int i = 0; i < 4; i++) {
        const char id[] = {(char)('a' + i), '\0'};
        devices[i] = pace_enter(pace, id, now);
    }
    for (int i = 0; i < 3000000 / PIECE; i++) {
        int64_t at = pace_reserve(pace, devices[i % 4], PIECE, now);
        assert_true(at > last);
        last = at;
    }
    expect_about(last - now, 3 * second - second / 4, second / 20);
    for (int i = 0; i < 4; i++)
        pace_leave(pace, devices[i], 0);
    pace_free(pace);
}

/* Who goes before his bytes do leaves no gap: those after him are as fast as if he had never come. */
static void test_unsent(void **state) {
    struct pace *pace = pace_new(1000000, 0);
    int64_t now = 5 * second, last = 0;
    (void)state;
    for (int i = 0; i < 4000; i++) {
        char id[32];
        snprintf(id, sizeof(id), "gone-%d", i);
        struct pace_device *gone = pace_enter(pace, id, now);
        (void)pace_reserve(pace, gone, PIECE, now);
        pace_leave(pace, gone, PIECE);
    }
    struct pace_device *stays = pace_enter(pace, "stays", now);
    for (int i = 0; i < 1000000 / PIECE; i++)
        last = pace_reserve(pace, stays, PIECE, now);
    expect_about(last - now, second - second / 4, second / 20);
    pace_leave(pace, stays, 0);
    pace_free(pace);
}

/* A million devices, one after the other: what is over is not kept. */
static void test_bounded(void **state) {
    struct pace *pace = pace_new(0, 1000000);
    int64_t now = 5 * second;
    (void)state;
    for (int i = 0; i < 1000000; i++) {
        char id[32];
        snprintf(id, sizeof(id), "device-%d", i);
        struct pace_device *device = pace_enter(pace, id, now);
        (void)pace_reserve(pace, device, 1000, now);
        pace_leave(pace, device, 0);
        now += 1000000; /* 1,000 a second */
    }
    assert_true(pace_count(pace) < 20000);
    pace_free(pace);
}

static void test_piece(void **state) {
    struct pace *slow = pace_new(0, 1000), *fast = pace_new(1000000000, 0), *between = pace_new(100000000, 2000000);
    (void)state;
    assert_int_equal(pace_piece(slow, PIECE, 4 * PIECE), PIECE);
    assert_int_equal(pace_piece(fast, PIECE, 4 * PIECE), 4 * PIECE);
    assert_int_equal(pace_piece(between, PIECE, 4 * PIECE), 2 * PIECE);
    pace_free(slow);
    pace_free(fast);
    pace_free(between);
    pace_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates), cmocka_unit_test(test_burst),  cmocka_unit_test(test_arithmetic), cmocka_unit_test(test_shared),
        cmocka_unit_test(test_fleet), cmocka_unit_test(test_unsent), cmocka_unit_test(test_bounded),    cmocka_unit_test(test_piece),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
