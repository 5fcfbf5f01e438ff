/* Sealed files: round trips at the edges of chunks, and every way a file can be cut, changed or put together anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "tests/unit/folder.h"
#include "trust/bech32.h"
#include "trust/seal.h"

enum { FILE_MAX = 12 * 1024 * 1024, SEALED_CHUNK = SEAL_CHUNK_SIZE + 16 };

/* Bytes in memory as source; hands out odd pieces, so that nothing depends on how reads are cut. */
struct memory {
    const char *data;
    size_t len;
    size_t at;
    size_t piece;
};

static bool memory_read(void *context, void *data, size_t cap, size_t *ret_len, struct err *err) {
    struct memory *memory = context;
    (void)err;
    size_t len = memory->len - memory->at;
    len = len < cap ? len : cap;
    len = len < memory->piece ? len : memory->piece;
    memcpy(data, memory->data + memory->at, len);
    memory->at += len;
    *ret_len = len;
    return true;
}

static bool buf_write(void *context, const void *data, size_t len, struct err *err) {
    struct buf *out = context;
    buf_append(out, data, len);
    return buf_ok(out, "output", err);
}

static struct seal_identities someone(void) {
    struct seal_identities identities = {.count = 1};
    struct err err;
    assert_true(seal_identity_generate(&identities.items[0], &err));
    return identities;
}

static struct seal_recipients recipient_of(const struct seal_identities *identities) {
    struct seal_recipients recipients = {.count = 1};
    struct err err;
    assert_true(seal_identity_recipient(&identities->items[0], &recipients.items[0], &err));
    return recipients;
}

static void seal_bytes(const struct seal_recipients *recipients, const char *data, size_t len, struct buf *out) {
    struct memory memory = {.data = data, .len = len, .piece = 7001};
    struct seal_source source = {memory_read, &memory};
    struct seal_sink sink = {buf_write, out};
    struct err err;
    assert_true(seal_seal(recipients, &source, &sink, &err));
}

static bool open_bytes(const struct seal_identities *identities, const char *data, size_t len, struct buf *out, struct err *err) {
    struct memory memory = {.data = data, .len = len, .piece = 9973};
    struct seal_source source = {memory_read, &memory};
    struct seal_sink sink = {buf_write, out};
    *err = (struct err){0};
    buf_reset(out);
    return seal_open(identities, &source, &sink, err);
}

static char *pattern(size_t len) {
    char *data = malloc(len + 1);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 31 + i / 65536);
    return data;
}

static void test_round_trips(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, 10 * 1024 * 1024};
    struct seal_identities identities = someone();
    struct seal_recipients recipients = recipient_of(&identities);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        CLEANUP(buf_free) struct buf sealed = BUF_INIT(FILE_MAX);
        CLEANUP(buf_free) struct buf opened = BUF_INIT(FILE_MAX);
        struct err err;
        char *plain = pattern(sizes[i]);
        seal_bytes(&recipients, plain, sizes[i], &sealed);
        size_t chunks = sizes[i] == 0 ? 1 : (sizes[i] + SEAL_CHUNK_SIZE - 1) / SEAL_CHUNK_SIZE;
        assert_int_equal(sealed.len, 184 + sizes[i] + 16 * chunks); /* header, salt, a tag for each chunk */
        assert_true(open_bytes(&identities, sealed.data, sealed.len, &opened, &err));
        assert_int_equal(opened.len, sizes[i]);
        assert_true(sizes[i] == 0 || memcmp(opened.data, plain, sizes[i]) == 0);
        free(plain);
    }
}

static void test_each_recipient_opens_and_nobody_else(void **state) {
    (void)state;
    struct seal_recipients recipients = {0};
    struct seal_identities all[3] = {someone(), someone(), someone()};
    struct seal_identities stranger = someone();
    CLEANUP(buf_free) struct buf sealed = BUF_INIT(FILE_MAX);
    CLEANUP(buf_free) struct buf opened = BUF_INIT(FILE_MAX);
    struct err err;
    for (size_t i = 0; i < 3; i++)
        recipients.items[recipients.count++] = recipient_of(&all[i]).items[0];
    seal_bytes(&recipients, "firmware", 8, &sealed);
    for (size_t i = 0; i < 3; i++) {
        assert_true(open_bytes(&all[i], sealed.data, sealed.len, &opened, &err));
        assert_string_equal(opened.data, "firmware");
    }
    assert_false(open_bytes(&stranger, sealed.data, sealed.len, &opened, &err));
    assert_int_equal(err.code, ERR_DECRYPT);
    assert_int_equal(opened.len, 0);
}

/* Nothing that was cut at any byte opens; of a cut payload no partial chunk reaches the sink. */
static void test_cut_anywhere(void **state) {
    (void)state;
    struct seal_identities identities = someone();
    struct seal_recipients recipients = recipient_of(&identities);
    CLEANUP(buf_free) struct buf sealed = BUF_INIT(FILE_MAX);
    CLEANUP(buf_free) struct buf opened = BUF_INIT(FILE_MAX);
    struct err err;
    char *plain = pattern(3 * SEAL_CHUNK_SIZE);
    seal_bytes(&recipients, plain, 3 * SEAL_CHUNK_SIZE, &sealed);
    size_t payload = sealed.len - 3 * SEALED_CHUNK;
    for (size_t len = 0; len < payload + 40; len++) {
        assert_false(open_bytes(&identities, sealed.data, len, &opened, &err));
        assert_true(err.code == ERR_FORMAT || err.code == ERR_DECRYPT);
        assert_int_equal(opened.len, 0);
    }
    for (size_t chunk = 1; chunk <= 3; chunk++) {
        for (size_t off = 0; off < 3; off++) {
            size_t len = payload + chunk * SEALED_CHUNK - 1 + off;
            if (len == sealed.len || len > sealed.len)
                continue;
            assert_false(open_bytes(&identities, sealed.data, len, &opened, &err));
            assert_int_equal(err.code, ERR_DECRYPT);
        }
    }
    free(plain);
}

static void test_every_flipped_bit_of_a_small_file(void **state) {
    (void)state;
    struct seal_identities identities = someone();
    struct seal_recipients recipients = recipient_of(&identities);
    CLEANUP(buf_free) struct buf sealed = BUF_INIT(FILE_MAX);
    CLEANUP(buf_free) struct buf opened = BUF_INIT(FILE_MAX);
    struct err err;
    seal_bytes(&recipients, "one way only", 12, &sealed);
    for (size_t bit = 0; bit < sealed.len * 8; bit++) {
        sealed.data[bit / 8] = (char)(sealed.data[bit / 8] ^ 1 << bit % 8);
        assert_false(open_bytes(&identities, sealed.data, sealed.len, &opened, &err));
        assert_int_equal(opened.len, 0);
        sealed.data[bit / 8] = (char)(sealed.data[bit / 8] ^ 1 << bit % 8);
    }
    assert_true(open_bytes(&identities, sealed.data, sealed.len, &opened, &err));
}

static void test_chunks_swapped_dropped_spliced_extended(void **state) {
    (void)state;
    struct seal_identities identities = someone();
    struct seal_recipients recipients = recipient_of(&identities);
    CLEANUP(buf_free) struct buf sealed = BUF_INIT(FILE_MAX);
    CLEANUP(buf_free) struct buf other = BUF_INIT(FILE_MAX);
    CLEANUP(buf_free) struct buf forged = BUF_INIT(FILE_MAX);
    CLEANUP(buf_free) struct buf opened = BUF_INIT(FILE_MAX);
    struct err err;
    char *plain = pattern(3 * SEAL_CHUNK_SIZE);
    seal_bytes(&recipients, plain, 3 * SEAL_CHUNK_SIZE, &sealed);
    seal_bytes(&recipients, plain, 3 * SEAL_CHUNK_SIZE, &other);
    size_t payload = sealed.len - 3 * SEALED_CHUNK;
    const char *chunk[3] = {sealed.data + payload, sealed.data + payload + SEALED_CHUNK, sealed.data + payload + 2 * SEALED_CHUNK};
    const char *foreign = other.data + payload + SEALED_CHUNK;
    const char *cases[][4] = {
        {chunk[1], chunk[0], chunk[2], NULL},     /* swapped */
        {chunk[0], chunk[2], NULL, NULL},         /* one dropped */
        {chunk[0], chunk[1], NULL, NULL},         /* the last dropped */
        {chunk[0], foreign, chunk[2], NULL},      /* one of another file */
        {chunk[0], chunk[1], chunk[2], chunk[2]}, /* one more */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_init(&forged, FILE_MAX);
        buf_append(&forged, sealed.data, payload);
        for (size_t j = 0; j < 4 && cases[i][j] != NULL; j++)
            buf_append(&forged, cases[i][j], SEALED_CHUNK);
        assert_false(open_bytes(&identities, forged.data, forged.len, &opened, &err));
        assert_int_equal(err.code, ERR_DECRYPT);
        buf_free(&forged);
    }
    free(plain);
}

static void test_something_else_is_no_sealed_file(void **state) {
    (void)state;
    struct seal_identities identities = someone();
    CLEANUP(buf_free) struct buf opened = BUF_INIT(FILE_MAX);
    struct err err;
    char *plain = pattern(3 * SEAL_HEADER_MAX);
    static const char *const texts[] = {"", "\n", "age-encryption.org/v2\n---\n", "age-encryption.org/v1\n--- AAAA\n",
                                        "age-encryption.org/v1\n-> \n\n---\n"};
    memset(plain, 'x', 3 * SEAL_HEADER_MAX);
    assert_false(open_bytes(&identities, plain, 3 * SEAL_HEADER_MAX, &opened, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_false(open_bytes(&identities, texts[i], strlen(texts[i]), &opened, &err));
        assert_int_equal(err.code, ERR_FORMAT);
    }
    free(plain);
}

static void test_bech32(void **state) {
    (void)state;
    /* Checksums of BIP 173's own test vectors that carry data of a whole number of bytes, and texts that must fail. */
    uint8_t data[32];
    char text[BECH32_TEXT_SIZE];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    bech32_encode("age", data, sizeof data, false, text);
    uint8_t again[32] = {0};
    assert_true(bech32_decode(text, "age", sizeof again, again));
    assert_memory_equal(data, again, sizeof data);
    assert_false(bech32_decode(text, "agf", sizeof again, again));
    assert_false(bech32_decode(text, "age", 31, again));
    for (size_t i = 0; text[i]; i++) {
        char kept = text[i];
        text[i] = kept == 'q' ? 'p' : 'q';
        assert_false(bech32_decode(text, "age", sizeof again, again));
        text[i] = kept;
    }
    text[5] = (char)(text[5] - ('a' - 'A'));
    assert_false(bech32_decode(text, "age", sizeof again, again)); /* mixed case, or a digit turned into rubbish */
    assert_true(bech32_decode("a12uel5l", "a", 0, again));
    assert_true(bech32_decode("A12UEL5L", "a", 0, again));
    assert_false(bech32_decode("A1G7SGD8", "a", 0, again));
    assert_false(bech32_decode("a12uel5", "a", 0, again));
}

static void test_recipients_and_identities(void **state) {
    (void)state;
    struct seal_identities identities = someone();
    struct seal_recipients recipients = {0};
    struct seal_recipient recipient;
    char secret[SEAL_TEXT_SIZE];
    char text[SEAL_TEXT_SIZE];
    struct err err;
    seal_identity_text(&identities.items[0], secret);
    assert_memory_equal(secret, "AGE-SECRET-KEY-1", 16);
    assert_true(seal_identity_recipient(&identities.items[0], &recipient, &err));
    seal_recipient_text(&recipient, text);
    assert_true(seal_recipients_add(&recipients, text, &err));
    assert_true(seal_recipients_add(&recipients, text, &err));
    assert_int_equal(recipients.count, 1);
    assert_false(seal_recipients_add(&recipients, "age1", &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_false(seal_recipients_add(&recipients, secret, &err));
    assert_null(strstr(err.text, secret + 16)); /* a secret never stands in a message */
    for (size_t i = 1; i < SEAL_RECIPIENTS_MAX; i++) {
        struct seal_identities more = someone();
        assert_true(seal_identity_recipient(&more.items[0], &recipient, &err));
        seal_recipient_text(&recipient, text);
        assert_true(seal_recipients_add(&recipients, text, &err));
    }
    struct seal_identities one_too_many = someone();
    assert_true(seal_identity_recipient(&one_too_many.items[0], &recipient, &err));
    seal_recipient_text(&recipient, text);
    assert_false(seal_recipients_add(&recipients, text, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
}

static void test_identity_files(void **state) {
    const char *path = in_folder("identity");
    char secret[SEAL_TEXT_SIZE];
    struct err err;
    struct seal_identities identities = someone();
    struct seal_identities read;
    CLEANUP(buf_free) struct buf file = BUF_INIT(4096);
    (void)state;
    seal_identity_text(&identities.items[0], secret);
    buf_printf(&file, "# made by hand\n\n%s\r\n", secret);
    assert_true(file_write_new(path, file.data, file.len, 0400, &err));
    assert_true(seal_identities_read(path, &read, &err));
    assert_int_equal(read.count, 1);
    assert_memory_equal(&read.items[0], &identities.items[0], sizeof read.items[0]);
    assert_int_equal(chmod(path, 0440), 0);
    assert_false(seal_identities_read(path, &read, &err));
    assert_int_equal(err.code, ERR_KEY);
    assert_int_equal(unlink(path), 0);
    assert_true(file_write_new(path, "# nobody\n", 9, 0400, &err));
    assert_false(seal_identities_read(path, &read, &err));
    assert_int_equal(err.code, ERR_KEY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_each_recipient_opens_and_nobody_else),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_every_flipped_bit_of_a_small_file),
        cmocka_unit_test(test_chunks_swapped_dropped_spliced_extended),
        cmocka_unit_test(test_something_else_is_no_sealed_file),
        cmocka_unit_test(test_bech32),
        cmocka_unit_test(test_recipients_and_identities),
        cmocka_unit_test(test_identity_files),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_drop);
}
