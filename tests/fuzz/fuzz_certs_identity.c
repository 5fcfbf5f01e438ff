/* A certificate from nowhere: whatever its bytes, an identity that comes out of it is an id. */
#include <stdlib.h>
#include <string.h>

#include "certs/identity.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct err err;
    const unsigned char *at = data;
    X509 *certificate = d2i_X509(NULL, &at, (long)size);
    if (certificate == NULL)
        return 0;
    for (int source = CERTS_ID_SAN_URI; source <= CERTS_ID_COMMON_NAME; source++) {
        struct certs_identity identity;
        if (certs_identity_from_x509(certificate, (enum certs_id_source)source, &identity, &err) &&
            (!text_is_id(identity.id) || identity.not_after == 0))
            abort();
    }
    X509_free(certificate);
    return 0;
}
