#include "server/expiry.h"

#include <string.h>

#include "certs/pem.h"
#include "common/clock.h"
#include "common/file.h"

enum { PEM_MAX_BYTES = 1 << 20, FRESH_MS = 60000 };

static size_t read_files(struct server *server, struct api_expiry ret_expiries[API_EXPIRIES_CERTIFICATES]) {
    const struct server_config *config = atomic_load(&server->live);
    const struct {
        const char *what, *path;
    } files[API_EXPIRIES_CERTIFICATES] = {
        {"certificate:server", config->tls.certificate},          {"certificate:device_ca", config->tls.device_ca},
        {"certificate:admin_ca", config->tls.admin_ca},           {"certificate:issuing_ca", config->enrolment.ca_certificate},
        {"certificate:factory_ca", config->enrolment.factory_ca}, {"certificate:webhook_ca", config->webhooks.ca_file},
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

size_t expiry_certificates(struct server *server, struct api_expiry ret_expiries[API_EXPIRIES_CERTIFICATES]) {
    struct server_expiry *expiry = &server->expiry;
    int64_t now_ms = clock_mono_ms();
    pthread_mutex_lock(&expiry->lock);
    if (expiry->read_at_ms == 0 || now_ms - expiry->read_at_ms >= FRESH_MS) {
        expiry->count = read_files(server, expiry->items);
        expiry->read_at_ms = now_ms;
    }
    size_t count = expiry->count;
    memcpy(ret_expiries, expiry->items, count * sizeof(*ret_expiries));
    pthread_mutex_unlock(&expiry->lock);
    return count;
}

void expiry_forget(struct server *server) {
    pthread_mutex_lock(&server->expiry.lock);
    server->expiry.read_at_ms = 0;
    pthread_mutex_unlock(&server->expiry.lock);
}
