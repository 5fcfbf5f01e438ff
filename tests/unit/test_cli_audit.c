/* `pawl audit verify`: a thousand rows, and every way of tampering with each of them is seen. The verifier's state before row i depends on the rows
 * before it alone, so each attack begins from that state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit_chain.h"
#include "common/clock.h"
#include "common/hex.h"
#include "common/random.h"

enum { ROWS = 1000, LINE_MAX = 1024 };

static struct {
    char lines[ROWS + 1][LINE_MAX];
    struct cli_audit_chain before[ROWS + 1]; /* the verifier before that row; [ROWS]: at the end */
    struct checkpoint checkpoint;
    struct key *key;
} world;

/* A row as an export shows it. */
static void write_line(const struct chain_row *row, char line[LINE_MAX]) {
    char time[CLOCK_RFC3339_SIZE], prev[SHA256_HEX_SIZE], hash[SHA256_HEX_SIZE];
    clock_rfc3339(row->time, time);
    hex_encode(row->prev_hash, SHA256_SIZE, prev);
    hex_encode(row->hash, SHA256_SIZE, hash);
    snprintf(line, LINE_MAX,
             "{\"seq\":%lld,\"time\":\"%s\",\"actor\":\"%s\",\"action\":\"%s\",\"object\":\"%s\",\"detail\":\"%s\",\"request_id\":\"%s\",\"prev_"
             "hash\":\"%s\","
             "\"hash\":\"%s\"}",
             (long long)row->seq, time, row->actor, row->action, row->object, row->detail[0] != '\0' ? "{\\\"reason\\\":\\\"lost\\\"}" : "",
             row->request_id, prev, hash);
}

static struct chain_row next_row(const struct chain_row *last, char object[32]) {
    struct chain_row row = {.seq = last->seq + 1,
                            .time = 1800000000 + last->seq,
                            .actor = "token:ab12cd",
                            .action = "device.revoke",
                            .object = object,
                            .detail = last->seq % 2 == 0 ? "{\"reason\":\"lost\"}" : "",
                            .request_id = "0123456789abcdef0123456789abcdef"};
    struct err err;
    snprintf(object, 32, "device:d-%lld", (long long)row.seq);
    memcpy(row.prev_hash, last->hash, SHA256_SIZE);
    assert_true(chain_hash(&row, row.hash, &err));
    return row;
}

static int set_up(void **state) {
    struct chain_row last = {.seq = 0};
    struct cli_audit_chain chain = {.checkpoint = &world.checkpoint};
    struct err err = {0};
    char object[32];
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        last = next_row(&last, object);
        write_line(&last, world.lines[i]);
    }
    world.checkpoint = (struct checkpoint){.seq = ROWS, .time = 1800009999};
    memcpy(world.checkpoint.hash, last.hash, SHA256_SIZE);
    assert_true(key_generate(KEY_ED25519, &world.key, &err));
    assert_true(checkpoint_sign(&world.checkpoint, world.key, &err));
    assert_true(checkpoint_verify(&world.checkpoint, &world.key, 1, &err));
    for (int i = 0; i < ROWS; i++) {
        world.before[i] = chain;
        if (!cli_audit_chain_line(&chain, world.lines[i], strlen(world.lines[i]), &err))
            fail_msg("row %d: %s", i + 1, err.text);
    }
    world.before[ROWS] = chain;
    assert_true(cli_audit_chain_end(&chain, &err));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    key_free(world.key);
    return 0;
}

/* Lines as they are from `from` on, to the end or the first refusal. */
static bool passes(struct cli_audit_chain *chain, int from) {
    struct err err;
    for (int i = from; i < ROWS; i++)
        if (!cli_audit_chain_line(chain, world.lines[i], strlen(world.lines[i]), &err))
            return false;
    return cli_audit_chain_end(chain, &err);
}

static bool passes_line(struct cli_audit_chain *chain, const char *line, size_t len) {
    struct err err;
    return cli_audit_chain_line(chain, line, len, &err);
}

/* One bit of the line, any. */
static bool flip(int i, struct cli_audit_chain *chain) {
    char line[LINE_MAX];
    size_t len = strlen(world.lines[i]);
    memcpy(line, world.lines[i], len);
    line[random_below(len)] ^= (char)(1 << random_below(8));
    return passes_line(chain, line, len) && passes(chain, i + 1);
}

/* One member of the row, with a hash that fits it again: the row after it, or the checkpoint, does not. */
static bool forge(int i, struct cli_audit_chain *chain) {
    char object[32], line[LINE_MAX];
    struct chain_row row = next_row(&chain->last, object);
    struct err err;
    row.actor = "token:another";
    assert_true(chain_hash(&row, row.hash, &err));
    write_line(&row, line);
    return passes_line(chain, line, strlen(line)) && passes(chain, i + 1);
}

static bool delete (int i, struct cli_audit_chain *chain) {
    return passes(chain, i + 1);
}

/* A row of the attacker's own, well formed, before row i. */
static bool insert(int i, struct cli_audit_chain *chain) {
    char object[32], line[LINE_MAX];
    struct chain_row row = next_row(&chain->last, object);
    struct err err;
    row.action = "device.accept";
    assert_true(chain_hash(&row, row.hash, &err));
    write_line(&row, line);
    return passes_line(chain, line, strlen(line)) && passes(chain, i);
}

/* Row i changes places with another one. */
static bool reorder(int i, struct cli_audit_chain *chain) {
    int other = i + 1 < ROWS ? i + 1 + (int)random_below((uint64_t)(ROWS - i - 1)) : 0;
    if (other < i)
        *chain = world.before[other];
    int first = other < i ? other : i, second = other < i ? i : other;
    return passes_line(chain, world.lines[second], strlen(world.lines[second])) && passes(chain, first + 1);
}

/* Row i and all behind it are gone. */
static bool truncate_at(int i, struct cli_audit_chain *chain) {
    struct err err;
    (void)i;
    return cli_audit_chain_end(chain, &err);
}

/* The whole chain made anew from row i on, as somebody with the store but without the audit key can do it. */
static bool make_anew(int i, struct cli_audit_chain *chain) {
    struct err err;
    for (; i < ROWS; i++) {
        char object[32], line[LINE_MAX];
        struct chain_row row = next_row(&chain->last, object);
        row.actor = "token:nobody";
        assert_true(chain_hash(&row, row.hash, &err));
        write_line(&row, line);
        if (!passes_line(chain, line, strlen(line)))
            return false;
    }
    return cli_audit_chain_end(chain, &err);
}

static void test_tampering(void **state) {
    static const struct {
        const char *name;
        bool (*attack)(int i, struct cli_audit_chain *chain);
        int step; /* every how many rows */
    } attacks[] = {
        {"flip", flip, 1},       {"forge", forge, 1},          {"delete", delete, 1},        {"insert", insert, 1},
        {"reorder", reorder, 1}, {"truncate", truncate_at, 1}, {"make anew", make_anew, 25},
    };
    (void)state;
    for (size_t a = 0; a < ARRAY_LEN(attacks); a++) {
        int seen = 0, tried = 0;
        for (int i = 0; i < ROWS; i += attacks[a].step, tried++) {
            struct cli_audit_chain chain = world.before[i];
            seen += !attacks[a].attack(i, &chain);
        }
        print_message("%-9s %d of %d seen\n", attacks[a].name, seen, tried);
        assert_int_equal(seen, tried);
    }
}

/* What the checkpoint does not cover is not vouched for, and said to be so; what it covers is. */
static void test_behind_the_checkpoint(void **state) {
    struct checkpoint earlier = {.seq = 500};
    struct cli_audit_chain chain = {.checkpoint = &earlier};
    struct err err = {0};
    (void)state;
    memcpy(earlier.hash, world.before[500].last.hash, SHA256_SIZE);
    assert_true(passes(&chain, 0));
    chain = (struct cli_audit_chain){.checkpoint = &earlier};
    for (int i = 0; i < 499; i++)
        assert_true(passes_line(&chain, world.lines[i], strlen(world.lines[i])));
    assert_false(cli_audit_chain_end(&chain, &err));
    assert_int_equal(err.code, ERR_HASH);
    assert_non_null(strstr(err.text, "499"));
}

static void test_checkpoint(void **state) {
    struct checkpoint read, changed;
    struct key *other CLEANUP(key_cleanup) = NULL;
    struct buf text CLEANUP(buf_free) = BUF_INIT(4096);
    struct err err = {0};
    (void)state;
    assert_true(checkpoint_write(&world.checkpoint, &text, &err));
    assert_true(checkpoint_read(text.data, text.len, &read, &err));
    assert_true(checkpoint_verify(&read, &world.key, 1, &err));
    assert_string_equal(read.key_id, key_id(world.key));
    assert_true(key_generate(KEY_ED25519, &other, &err));
    assert_false(checkpoint_verify(&read, &other, 1, &err));
    assert_int_equal(err.code, ERR_SIGNATURE);
    struct key *both[] = {other, world.key};
    assert_true(checkpoint_verify(&read, both, 2, &err));
    assert_false(checkpoint_verify(&read, both, 0, &err));
    changed = read;
    changed.seq--;
    assert_false(checkpoint_verify(&changed, &world.key, 1, &err));
    changed = read;
    changed.hash[31] ^= 1;
    assert_false(checkpoint_verify(&changed, &world.key, 1, &err));
    changed = read;
    changed.time++;
    assert_false(checkpoint_verify(&changed, &world.key, 1, &err));
    changed = read;
    changed.signature.len = 0;
    assert_false(checkpoint_verify(&changed, &world.key, 1, &err));
    static const char *const bad[] = {"", "{}", "[]", "{\"seq\":1}",
                                      "{\"seq\":0,\"hash\":\"\",\"time\":\"2026-11-22T08:00:00Z\",\"key_id\":\"\",\"signature\":\"\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(checkpoint_read(bad[i], strlen(bad[i]), &read, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tampering), cmocka_unit_test(test_behind_the_checkpoint),
                                       cmocka_unit_test(test_checkpoint)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
