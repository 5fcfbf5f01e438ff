/* A request from nowhere: whatever its bytes, what is taken out of it is a key in its one form and an id, or nothing. */
#include <stdlib.h>

#include "certs/armour.h"
#include "certs/request.h"
#include "common/hex.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_it(struct arena *arena, const void *text, size_t len) {
    struct certs_request request;
    struct err err;
    if (certs_request_read(arena, text, len, &request, &err) &&
        (request.spki == NULL || request.spki_len < 32 || (request.common_name[0] != '\0' && !text_is_id(request.common_name))))
        abort();
}

/* As it stands, and as the DER that a client would send. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena CLEANUP(arena_clear);
    struct buf text CLEANUP(buf_free) = BUF_INIT(4 * CERTS_REQUEST_MAX);
    struct err err;
    arena_init(&arena, 1 << 20);
    if (size > CERTS_REQUEST_MAX)
        return 0;
    read_it(&arena, data, size);
    base64_encode_lines(&text, data, size);
    if (buf_ok(&text, "the input", &err))
        read_it(&arena, text.data == NULL ? "" : text.data, text.len);
    return 0;
}
