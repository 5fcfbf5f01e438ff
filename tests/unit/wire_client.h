/* A blocking TLS client for the wire's tests: what it gets is all that came until a pause, an end or a count. */
#ifndef PAWL_TESTS_UNIT_WIRE_CLIENT_H
#define PAWL_TESTS_UNIT_WIRE_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

struct client {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    SSL_SESSION *session; /* the newest the server gave */
};

static inline int client_connect(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        abort();
    return fd;
}

static inline int client_on_session(SSL *ssl, SSL_SESSION *session) {
    struct client *client = SSL_get_app_data(ssl);
    SSL_SESSION_free(client->session);
    client->session = session;
    return 1;
}

/* name: folder/name.pem and .key; NULL: no certificate. version 0: any. session: to resume, may be NULL. False: the handshake failed on this side. */
static inline bool client_open(struct client *client, int port, const char *name, int version, SSL_SESSION *session) {
    char path[512];
    *client = (struct client){.fd = client_connect(port), .ctx = SSL_CTX_new(TLS_client_method())};
    snprintf(path, sizeof(path), "%s/ca.pem", folder);
    SSL_CTX_load_verify_file(client->ctx, path);
    SSL_CTX_set_verify(client->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(client->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client->ctx, client_on_session);
    if (version != 0) {
        SSL_CTX_set_security_level(client->ctx, 0);
        SSL_CTX_set_min_proto_version(client->ctx, version);
        SSL_CTX_set_max_proto_version(client->ctx, version);
    }
    if (name != NULL) {
        snprintf(path, sizeof(path), "%s/%s.pem", folder, name);
        if (SSL_CTX_use_certificate_chain_file(client->ctx, path) != 1)
            abort();
        snprintf(path, sizeof(path), "%s/%s.key", folder, name);
        if (SSL_CTX_use_PrivateKey_file(client->ctx, path, SSL_FILETYPE_PEM) != 1)
            abort();
    }
    client->ssl = SSL_new(client->ctx);
    SSL_set_app_data(client->ssl, client);
    SSL_set_fd(client->ssl, client->fd);
    if (session != NULL) {
        SSL_SESSION *copy = SSL_SESSION_dup(session); /* OpenSSL's client marks one that it has used */
        SSL_set_session(client->ssl, copy);
        SSL_SESSION_free(copy);
    }
    return SSL_connect(client->ssl) == 1;
}

static inline void client_close(struct client *client) {
    SSL_SESSION_free(client->session);
    SSL_free(client->ssl);
    SSL_CTX_free(client->ctx);
    close(client->fd);
    *client = (struct client){.fd = -1};
    ERR_clear_error();
}

/* As much as the other side takes; false when it took not all. */
static inline bool client_send(struct client *client, const void *data, size_t len) {
    const char *at = data;
    while (len > 0) {
        int part = SSL_write(client->ssl, at, len > 16384 ? 16384 : (int)len);
        if (part <= 0)
            return false;
        at += part;
        len -= (size_t)part;
    }
    return true;
}

static inline bool client_say(struct client *client, const char *text) {
    return client_send(client, text, strlen(text));
}

/* Until size - 1 bytes, the end, or pause_ms without a byte. NUL-terminated. *ret_ended: the server closed. */
static inline size_t client_read(struct client *client, char *out, size_t size, int pause_ms, bool *ret_ended) {
    struct timeval patience = {.tv_sec = pause_ms / 1000, .tv_usec = pause_ms % 1000 * 1000};
    size_t len = 0;
    *ret_ended = false;
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    while (len < size - 1) {
        int got = SSL_read(client->ssl, out + len, (int)(size - 1 - len));
        if (got <= 0) {
            int error = SSL_get_error(client->ssl, got);
            *ret_ended = error != SSL_ERROR_WANT_READ;
            break;
        }
        len += (size_t)got;
    }
    out[len] = '\0';
    ERR_clear_error();
    return len;
}

/* The status of the reply to one request without a body, whose reply fits out; 0: none came. */
static inline int client_ask(struct client *client, const char *request, char *out, size_t size) {
    bool ended;
    if (!client_say(client, request))
        return 0;
    size_t len = 0;
    for (;;) {
        len += client_read(client, out + len, 2, 5000, &ended);
        char *end = strstr(out, "\r\n\r\n");
        char *length = strcasestr(out, "\r\nContent-Length:");
        size_t body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
        if (end != NULL && len >= (size_t)(end + 4 - out) + body)
            return (int)strtol(out + 9, NULL, 10);
        if (ended || len >= size - 2)
            return 0;
    }
}

#endif
