/* The gate by direct call: bytes that come in pieces mean what they mean in one piece, and what passes has the one shape that cannot be misread. */
#include <stdlib.h>
#include <string.h>

#include "server/gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine) {
    if (!fine)
        abort();
}

static void check_head(const char *head, size_t len) {
    check(len >= 4 && len <= GATE_MAX_HEAD && memcmp(head + len - 4, "\r\n\r\n", 4) == 0);
    size_t lines = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)head[i];
        check(c < 0x7f && (c >= 0x20 || c == '\t' || c == '\r' || c == '\n'));
        check((c == '\r') == (i + 1 < len && head[i + 1] == '\n'));
        lines += c == '\n';
        check(c != '\n' || i + 1 == len || (head[i + 1] != ' ' && head[i + 1] != '\t'));
    }
    check(lines <= GATE_MAX_FIELDS + 2);
    const char *target = memchr(head, ' ', len);
    check(target != NULL && target[1] == '/');
    const char *end = memchr(target + 1, ' ', len - (size_t)(target + 1 - head));
    check(end != NULL && memcmp(end, " HTTP/1.1\r\n", 11) == 0);
    check(memmem(target, (size_t)(end - target), "%00", 3) == NULL);
    check(memmem(head, len, "\r\nTransfer-Encoding:", 20) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gate whole = {0}, pieces = {0};
    if (size < 1)
        return 0;
    size_t step = 1 + data[0] % 16;
    size--;
    char *bytes = malloc(size + 1);
    check(bytes != NULL);
    memcpy(bytes, data + 1, size);
    enum gate_verdict verdict = gate_scan(&whole, bytes, size);
    enum gate_verdict slow = GATE_MORE;
    for (size_t len = step < size ? step : size; slow == GATE_MORE; len = len + step < size ? len + step : size) {
        slow = gate_scan(&pieces, bytes, len);
        if (len == size)
            break;
    }
    check(slow == verdict && pieces.refusal == whole.refusal && pieces.head_len == whole.head_len && pieces.content_length == whole.content_length);
    check((verdict == GATE_REFUSED) == (whole.refusal != GATE_NOTHING));
    if (verdict == GATE_COMPLETE)
        check_head(bytes, whole.head_len);
    char reply[GATE_REPLY_SIZE];
    check(gate_reply(whole.refusal, "0", 0, reply) > 0);
    free(bytes);
    return 0;
}
