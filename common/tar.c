#include "common/tar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"

/* IEEE Std 1003.1, pax, "ustar interchange format". */
struct head {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char major[8];
    char minor[8];
    char prefix[155];
    char rest[12];
};
_Static_assert(sizeof(struct head) == TAR_BLOCK, "a head is one block");

static const char zeros[2 * TAR_BLOCK];
#define OCTAL_SIZE_MAX ((int64_t)1 << 33) /* eleven octal digits */

static unsigned checksum(const struct head *head) {
    const unsigned char *bytes = (const unsigned char *)head;
    const size_t from = offsetof(struct head, checksum), to = from + sizeof(head->checksum);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof(*head); i++)
        sum += i >= from && i < to ? ' ' : bytes[i];
    return sum;
}

static void put_octal(char *field, size_t size, int64_t value) {
    char digits[24];
    snprintf(digits, sizeof(digits), "%0*llo", (int)size - 1, (unsigned long long)value);
    memcpy(field, digits, size);
}

static void put_size(char field[12], int64_t value) {
    if (value < OCTAL_SIZE_MAX) {
        put_octal(field, 12, value);
        return;
    }
    memset(field, 0, 12);
    field[0] = (char)0x80;
    for (size_t i = 11; i >= 4; i--, value >>= 8)
        field[i] = (char)(value & 0xff);
}

/* Digits up to a NUL or a space; at least one. */
static bool get_octal(const char *field, size_t size, int64_t *ret_value) {
    int64_t value = 0;
    size_t i = 0;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        value = value * 8 + (field[i] - '0');
    if (i == 0 || (i < size && field[i] != '\0' && field[i] != ' '))
        return false;
    *ret_value = value;
    return true;
}

static bool get_size(const char field[12], int64_t *ret_value) {
    const unsigned char *bytes = (const unsigned char *)field;
    if (bytes[0] != 0x80)
        return get_octal(field, 12, ret_value);
    uint64_t value = 0;
    for (size_t i = 1; i < 12; i++) {
        if (value >> 55 != 0)
            return false;
        value = value << 8 | bytes[i];
    }
    *ret_value = (int64_t)value;
    return true;
}

static size_t padding(int64_t length) {
    return (size_t)((TAR_BLOCK - length % TAR_BLOCK) % TAR_BLOCK);
}

bool tar_write_head(int fd, const struct tar_entry *entry, int64_t modified_at, struct err *err) {
    struct head head = {.mode = "0000600", .uid = "0000000", .gid = "0000000", .type = '0', .major = "0000000", .minor = "0000000"};
    size_t len = strlen(entry->name);
    if (len == 0 || len > sizeof(head.name) || entry->length < 0)
        return err_set(err, ERR_INVALID, "'%.100s' cannot be put into an archive", entry->name);
    memcpy(head.name, entry->name, len);
    memcpy(head.magic, "ustar", sizeof(head.magic));
    memcpy(head.version, "00", sizeof(head.version));
    put_size(head.size, entry->length);
    put_octal(head.mtime, sizeof(head.mtime), modified_at < 0 ? 0 : modified_at % OCTAL_SIZE_MAX);
    put_octal(head.checksum, 7, checksum(&head));
    head.checksum[7] = ' ';
    return file_write_all(fd, &head, sizeof(head), err);
}

bool tar_write_padding(int fd, int64_t length, struct err *err) {
    return file_write_all(fd, zeros, padding(length), err);
}

bool tar_write_end(int fd, struct err *err) {
    return file_write_all(fd, zeros, sizeof(zeros), err);
}

bool tar_read(int fd, void *ret_data, size_t len, struct err *err) {
    char *at = ret_data;
    while (len > 0) {
        ssize_t got = read(fd, at, len);
        if (got < 0 && errno != EINTR)
            return err_errno(err, "read");
        if (got == 0)
            return err_set(err, ERR_FORMAT, "the archive is cut short");
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
    return true;
}

static bool take(const struct head *head, struct tar_entry *ret_entry) {
    int64_t sum, length;
    size_t len = strnlen(head->name, sizeof(head->name));
    if (!get_octal(head->checksum, sizeof(head->checksum), &sum) || sum != (int64_t)checksum(head))
        return false;
    if (memcmp(head->magic, "ustar", sizeof(head->magic)) != 0 || head->type != '0' || head->prefix[0] != '\0' || len == 0 ||
        !get_size(head->size, &length))
        return false;
    memcpy(ret_entry->name, head->name, len);
    ret_entry->name[len] = '\0';
    ret_entry->length = length;
    return true;
}

bool tar_read_head(int fd, struct tar_entry *ret_entry, bool *ret_end, struct err *err) {
    struct head head;
    struct tar_entry entry;
    if (!tar_read(fd, &head, sizeof(head), err))
        return false;
    if (memcmp(&head, zeros, sizeof(head)) == 0) {
        if (!tar_read(fd, &head, sizeof(head), err))
            return false;
        *ret_end = true;
        return memcmp(&head, zeros, sizeof(head)) == 0 || err_set(err, ERR_FORMAT, "the archive does not end in two empty blocks");
    }
    if (!take(&head, &entry))
        return err_set(err, ERR_FORMAT, "not an archive of plain files, or its head is damaged");
    *ret_entry = entry;
    *ret_end = false;
    return true;
}

bool tar_read_padding(int fd, int64_t length, struct err *err) {
    char rest[TAR_BLOCK];
    size_t len = padding(length);
    if (!tar_read(fd, rest, len, err))
        return false;
    return memcmp(rest, zeros, len) == 0 || err_set(err, ERR_FORMAT, "the archive has bytes between its files");
}
