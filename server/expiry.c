#include "server/expiry.h"

#include "certs/pem.h"
#include "common/file.h"

enum { PEM_MAX_BYTES = 1 << 20 };

size_t expiry_certificates(struct server *server, struct api_expiry ret_expiries[API_EXPIRIES_CERTIFICATES]) {
    const struct {
        const char *what, *path;
    } files[API_EXPIRIES_CERTIFICATES] = {
        {"certificate:server", server->config.tls.certificate},
        {"certificate:device_ca", server->config.tls.device_ca},
        {"certificate:admin_ca", server->config.tls.admin_ca},
    };
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct buf pem CLEANUP(buf_free) = BUF_INIT(PEM_MAX_BYTES);
        struct err unused;
        int64_t expires_at;
        if (files[i].path != NULL && file_read(files[i].path, &pem, &unused) &&
            certs_pem_expiry(pem.data == NULL ? "" : pem.data, pem.len, files[i].what, &expires_at, &unused))
            ret_expiries[count++] = (struct api_expiry){files[i].what, expires_at};
    }
    return count;
}
