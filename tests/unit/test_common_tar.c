/* Archives: what is written is read back, here and by GNU tar; what is damaged, cut or of another kind is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"
#include "common/tar.h"

static void add(int fd, const char *name, const char *text) {
    struct tar_entry entry = {.length = (int64_t)strlen(text)};
    struct err err;
    snprintf(entry.name, sizeof(entry.name), "%s", name);
    assert_true(tar_write_head(fd, &entry, 1800000000, &err));
    assert_true(file_write_all(fd, text, strlen(text), &err));
    assert_true(tar_write_padding(fd, entry.length, &err));
}

static int archive(void) {
    int fd = memfd_create("archive", MFD_CLOEXEC);
    struct err err;
    add(fd, "one", "first");
    add(fd, "two", "");
    assert_true(tar_write_end(fd, &err));
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static void test_round_trip(void **state) {
    (void)state;
    int fd = archive();
    struct tar_entry entry;
    struct err err;
    char text[5];
    bool end;
    assert_true(tar_read_head(fd, &entry, &end, &err));
    assert_false(end);
    assert_string_equal(entry.name, "one");
    assert_int_equal(entry.length, 5);
    assert_true(tar_read(fd, text, 5, &err));
    assert_memory_equal(text, "first", 5);
    assert_true(tar_read_padding(fd, 5, &err));
    assert_true(tar_read_head(fd, &entry, &end, &err));
    assert_string_equal(entry.name, "two");
    assert_true(tar_read_head(fd, &entry, &end, &err));
    assert_true(end);
    close(fd);
}

/* 8 GiB and one byte: beyond eleven octal digits. */
static void test_great_length(void **state) {
    (void)state;
    const int64_t lengths[] = {0, 511, ((int64_t)1 << 33) - 1, (int64_t)1 << 33, ((int64_t)1 << 40) + 7};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        int fd = memfd_create("archive", MFD_CLOEXEC);
        struct tar_entry entry = {.name = "great", .length = lengths[i]}, back;
        struct err err;
        bool end;
        assert_true(tar_write_head(fd, &entry, 0, &err));
        lseek(fd, 0, SEEK_SET);
        assert_true(tar_read_head(fd, &back, &end, &err));
        assert_int_equal(back.length, lengths[i]);
        close(fd);
    }
}

/* Every bit of a head flipped: refused, or it is not the name and the length that changed. */
static void test_damaged_head(void **state) {
    (void)state;
    unsigned refused = 0;
    for (size_t bit = 0; bit < (size_t)TAR_BLOCK * 8; bit++) {
        int fd = archive();
        struct tar_entry entry;
        struct err err;
        unsigned char byte;
        bool end = false;
        assert_int_equal(pread(fd, &byte, 1, (off_t)(bit / 8)), 1);
        byte = (unsigned char)(byte ^ 1u << bit % 8);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
        if (tar_read_head(fd, &entry, &end, &err)) {
            assert_string_equal(entry.name, "one");
            assert_int_equal(entry.length, 5);
        } else {
            assert_int_equal(err.code, ERR_FORMAT);
            refused++;
        }
        close(fd);
    }
    assert_true(refused > (unsigned)TAR_BLOCK * 8 - 64); /* what is left are spellings of the checksum itself */
}

static void test_cut_short(void **state) {
    (void)state;
    int fd = archive();
    off_t whole = lseek(fd, 0, SEEK_END);
    close(fd);
    assert_int_equal(whole, 5 * TAR_BLOCK);
    for (off_t len = 0; len < whole; len += 100) {
        struct tar_entry entry;
        struct err err;
        bool end = false;
        fd = archive();
        assert_int_equal(ftruncate(fd, len), 0);
        bool good = true;
        while (good && !end) {
            good = tar_read_head(fd, &entry, &end, &err);
            char text[8];
            if (good && !end)
                good = tar_read(fd, text, (size_t)entry.length, &err) && tar_read_padding(fd, entry.length, &err);
        }
        assert_false(good);
        assert_int_equal(err.code, ERR_FORMAT);
        close(fd);
    }
}

static void test_bad_names(void **state) {
    (void)state;
    int fd = memfd_create("archive", MFD_CLOEXEC);
    struct tar_entry entry = {.length = -1, .name = "x"};
    struct err err;
    assert_false(tar_write_head(fd, &entry, 0, &err));
    entry = (struct tar_entry){.length = 0, .name = ""};
    assert_false(tar_write_head(fd, &entry, 0, &err));
    close(fd);
}

/* A link is no plain file. */
static void test_other_kinds(void **state) {
    (void)state;
    int fd = archive();
    struct tar_entry entry;
    struct err err;
    bool end;
    char sum[7];
    assert_int_equal(pread(fd, sum, 6, 148), 6);
    sum[6] = '\0';
    snprintf(sum, sizeof(sum), "%06lo", strtoul(sum, NULL, 8) + 2); /* type '2' for '0', and the sum that belongs to it */
    assert_int_equal(pwrite(fd, sum, 6, 148), 6);
    assert_int_equal(pwrite(fd, "2", 1, 156), 1);
    assert_false(tar_read_head(fd, &entry, &end, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_great_length), cmocka_unit_test(test_damaged_head),
        cmocka_unit_test(test_cut_short),  cmocka_unit_test(test_bad_names),    cmocka_unit_test(test_other_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
