#include "server/issuing.h"

#include "certs/bundle.h"
#include "certs/pkcs7.h"
#include "common/file.h"
#include "server/online.h"
#include "trust/key.h"

enum { PEM_MAX_BYTES = 1 << 20 };

bool issuing_open(const struct server_config *config, struct certs_issuer **ret_issuer, struct err *err) {
    struct buf passphrase CLEANUP(buf_wipe) = BUF_INIT(KEY_PASSPHRASE_MAX + 2);
    bool own = config->enrolment.ca_passphrase_file != NULL;
    struct certs_issuer *issuer = NULL;
    if (config->enrolment.ca_key != NULL) {
        if (!online_passphrase(own ? config->enrolment.ca_passphrase_file : config->trust.passphrase_file,
                               own ? "[enrolment] ca_passphrase_file" : "[trust] passphrase_file", &passphrase, err))
            return false;
        if (!certs_bundle_holds(config->tls.device_ca, config->enrolment.ca_certificate, err) ||
            !certs_issue_load(config->enrolment.ca_certificate, config->enrolment.ca_key, passphrase.data, passphrase.len, &issuer, err))
            return err_prefix(err, "[enrolment] ca_certificate and ca_key");
    }
    *ret_issuer = issuer;
    return true;
}

static bool is_in_use(const struct server *server, const struct certs_issuer *issuer) {
    return certs_issue_same(issuer, atomic_load(&server->issuing.issuer));
}

bool issuing_has_room(const struct server *server, const struct certs_issuer *issuer, struct err *err) {
    return issuer == NULL || is_in_use(server, issuer) || server->issuer_count < SERVER_ISSUERS ||
           err_set(err, ERR_CONFIG, "%d issuing CAs were taken since the start; restart the server", SERVER_ISSUERS);
}

void issuing_take(struct server *server, struct certs_issuer **issuer_take) {
    struct certs_issuer *issuer CLEANUP(issuing_drop) = *issuer_take;
    *issuer_take = NULL;
    if (is_in_use(server, issuer))
        return;
    atomic_store(&server->issuing.issuer, issuer);
    if (issuer != NULL)
        server->issuers[server->issuer_count++] = issuer;
    issuer = NULL;
}

void issuing_drop(struct certs_issuer **issuer) {
    certs_issue_free(*issuer);
}

bool issuing_authorities(struct server *server, struct buf *out, struct err *err) {
    struct buf pem CLEANUP(buf_free) = BUF_INIT(PEM_MAX_BYTES);
    const char *file = atomic_load(&server->live)->tls.device_ca;
    return file_read(file, &pem, err) && certs_pkcs7_all(pem.data == NULL ? "" : pem.data, pem.len, file, out, err);
}
