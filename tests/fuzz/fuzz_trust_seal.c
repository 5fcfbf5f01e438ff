/* Sealed files. An even first byte: the rest is opened as it is. An odd one: the rest says how a genuine file is changed, and then nothing but the
 * beginning of its plain text may come out, and never the verdict that it is whole. */
#include <stdlib.h>
#include <string.h>

#include "trust/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PLAIN_SIZE = SEAL_CHUNK_SIZE + 100, SEALED_MAX = 2 * SEAL_CHUNK_SIZE };

struct memory {
    const char *data;
    size_t len, at;
};

static bool memory_read(void *context, void *data, size_t cap, size_t *ret_len, struct err *err) {
    struct memory *memory = context;
    size_t left = memory->len - memory->at;
    (void)err;
    *ret_len = cap < left ? cap : left;
    if (*ret_len > 0)
        memcpy(data, memory->data + memory->at, *ret_len);
    memory->at += *ret_len;
    return true;
}

static bool buf_write(void *context, const void *data, size_t len, struct err *err) {
    struct buf *out = context;
    buf_append(out, data, len);
    return buf_ok(out, "output", err);
}

static bool open_bytes(const struct seal_identities *identities, const void *data, size_t len, struct buf *out) {
    struct memory memory = {.data = data, .len = len};
    const struct seal_source source = {memory_read, &memory};
    const struct seal_sink sink = {buf_write, out};
    struct err err;
    return seal_open(identities, &source, &sink, &err);
}

static const char *plain_text(void) {
    static char plain[PLAIN_SIZE];
    for (size_t i = 0; plain[PLAIN_SIZE - 1] == '\0' && i < sizeof plain; i++)
        plain[i] = (char)(i * 31 + i / 256 + 1);
    return plain;
}

static void seal_plain(const struct seal_identities *identities, struct buf *out) {
    struct seal_recipients recipients = {.count = 1};
    struct memory memory = {.data = plain_text(), .len = PLAIN_SIZE};
    const struct seal_source source = {memory_read, &memory};
    const struct seal_sink sink = {buf_write, out};
    struct err err;
    if (!seal_identity_recipient(&identities->items[0], &recipients.items[0], &err) || !seal_seal(&recipients, &source, &sink, &err))
        abort();
}

/* Five bytes a change: what, where (3), with what. The places of a header and of the chunks' edges are as likely as all others. */
static void change(struct buf *file, const uint8_t *data, size_t size) {
    for (; size >= 5 && file->len > 0; data += 5, size -= 5) {
        size_t wanted = (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
        size_t at = data[0] & 4 ? wanted % (file->len < 256 ? file->len : 256) : wanted % file->len;
        switch (data[0] & 3) {
        case 0:
            file->data[at] = (char)(file->data[at] ^ data[4]);
            break;
        case 1:
            file->len = at;
            break;
        case 2:
            buf_append(file, &data[4], 1);
            break;
        case 3:
            memmove(file->data + at, file->data + at + 1, file->len - at - 1);
            file->data[file->len - 1] = (char)data[4];
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct seal_identities identities = {.count = 1, .items = {{.secret_key = {1, 2, 3, 4, 5, 6, 7, 8, 9}}}};
    CLEANUP(buf_free) struct buf opened = BUF_INIT(1 << 22);
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0) {
        (void)open_bytes(&identities, data + 1, size - 1, &opened);
        return 0;
    }
    CLEANUP(buf_free) struct buf genuine = BUF_INIT(SEALED_MAX);
    CLEANUP(buf_free) struct buf changed = BUF_INIT(SEALED_MAX);
    seal_plain(&identities, &genuine);
    buf_append(&changed, genuine.data, genuine.len);
    change(&changed, data + 1, size - 1);
    bool same = changed.len == genuine.len && memcmp(changed.data, genuine.data, genuine.len) == 0;
    bool whole = open_bytes(&identities, changed.data, changed.len, &opened);
    if (whole != same || opened.len > PLAIN_SIZE || (opened.len > 0 && memcmp(opened.data, plain_text(), opened.len) != 0))
        abort();
    return 0;
}
