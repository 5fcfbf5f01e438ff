#include "certs/probe.h"

#include <string.h>

#include <openssl/ssl.h>

static void free_context(SSL_CTX **context) {
    SSL_CTX_free(*context);
}

static void free_ssl(SSL **ssl) {
    SSL_free(*ssl);
}

static bool exchange(SSL *ssl, const char *request, size_t min_bytes, struct buf *reply, struct err *err) {
    int len = (int)strlen(request);
    if (SSL_connect(ssl) != 1)
        return err_set(err, ERR_TLS, "no TLS connection with the configured certificate");
    if (SSL_write(ssl, request, len) != len)
        return err_set(err, ERR_NETWORK, "the connection was cut");
    while (reply->len < min_bytes) {
        char piece[512];
        int got = SSL_read(ssl, piece, sizeof(piece));
        if (got <= 0)
            return err_set(err, ERR_NETWORK, "no reply");
        buf_append(reply, piece, (size_t)got);
        if (!buf_ok(reply, "the reply", err))
            return false;
    }
    return true;
}

bool certs_probe(int fd, const char *certificate_file, const char *request, size_t min_bytes, struct buf *reply, struct err *err) {
    SSL_CTX *context CLEANUP(free_context) = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        return err_no_memory(err);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_file(context, certificate_file) != 1)
        return err_set(err, ERR_CONFIG, "%s: no certificate can be read from it", certificate_file);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    SSL *ssl CLEANUP(free_ssl) = SSL_new(context);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
        return err_no_memory(err);
    return exchange(ssl, request, min_bytes, reply, err);
}
