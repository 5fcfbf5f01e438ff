/* Any bytes as a signed document: what is read is written back the same, in both forms. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "trust/canon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct err err;
    json_t *value = NULL;
    if (!canon_parse(data, size, 65536, "input", &value, &err))
        return 0;
    struct buf file = BUF_INIT(65536), signed_bytes = BUF_INIT(65536);
    if (!canon_file_bytes(&file, value, &err) || file.len != size || memcmp(file.data, data, size) != 0)
        abort();
    if (!canon_signed_bytes(&signed_bytes, value, &err) || signed_bytes.len > size)
        abort();
    buf_free(&file);
    buf_free(&signed_bytes);
    json_decref(value);
    return 0;
}
