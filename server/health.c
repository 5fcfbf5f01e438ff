/* pawld health: one GET /readyz over TLS to the server's own administration listener, trusting its own certificate alone. For container health
 * checks. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "common/file.h"
#include "common/program.h"
#include "server/commands.h"

enum { TIMEOUT_S = 5 };

static void free_context(SSL_CTX **context) {
    SSL_CTX_free(*context);
}

static void free_ssl(SSL **ssl) {
    SSL_free(*ssl);
}

/* Everywhere is here. */
static const char *reachable(const char *host) {
    if (strcmp(host, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(host, "::") == 0 ? "::1" : host;
}

static bool connect_to(const char *host, uint16_t port, int *ret_fd, struct err *err) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool is_v6 = strchr(host, ':') != NULL;
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, host, is_v6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) != 1)
        return err_set(err, ERR_CONFIG, "[listen] admin: '%s' is no numeric address", host);
    int fd CLEANUP(file_close) = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};
    const struct sockaddr *address = is_v6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
    socklen_t len = is_v6 ? sizeof(v6) : sizeof(v4);
    bool connected = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
                     setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 && connect(fd, address, len) == 0;
    if (!connected) {
        err_errno(err, "%s port %u", host, (unsigned)port);
        err->code = ERR_NETWORK;
        return false;
    }
    *ret_fd = fd;
    fd = -1;
    return true;
}

static SSL_CTX *make_context(const char *certificate, struct err *err) {
    SSL_CTX *context CLEANUP(free_context) = SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        err_no_memory(err);
        return NULL;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (certificate == NULL || SSL_CTX_load_verify_file(context, certificate) != 1) {
        err_set(err, ERR_CONFIG, "[tls] certificate cannot be read");
        return NULL;
    }
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX *out = context;
    context = NULL;
    return out;
}

static bool ask(SSL *ssl, struct err *err) {
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char reply[512] = "";
    size_t len = 0;
    if (SSL_connect(ssl) != 1)
        return err_set(err, ERR_TLS, "no TLS connection with the configured certificate");
    if (SSL_write(ssl, request, (int)sizeof(request) - 1) != (int)sizeof(request) - 1)
        return err_set(err, ERR_NETWORK, "the connection was cut");
    while (len < 12) {
        int got = SSL_read(ssl, reply + len, (int)(sizeof(reply) - 1 - len));
        if (got <= 0)
            return err_set(err, ERR_NETWORK, "no reply");
        len += (size_t)got;
    }
    if (strncmp(reply, "HTTP/1.1 200", 12) != 0)
        return err_set(err, ERR_BUSY, "not ready: %.12s", reply);
    return true;
}

static bool probe(const struct server_config *config, struct err *err) {
    char host[64];
    uint16_t port;
    int fd CLEANUP(file_close) = -1;
    if (strcmp(config->listen.admin, "off") == 0)
        return err_set(err, ERR_CONFIG, "[listen] admin is off: there is nobody to ask");
    if (!server_config_address(config->listen.admin, "[listen] admin", host, &port, err) || !connect_to(reachable(host), port, &fd, err))
        return false;
    SSL_CTX *context CLEANUP(free_context) = make_context(config->tls.certificate, err);
    if (context == NULL)
        return false;
    SSL *ssl CLEANUP(free_ssl) = SSL_new(context);
    return ssl != NULL && SSL_set_fd(ssl, fd) == 1 ? ask(ssl, err) : err_no_memory(err);
}

int commands_health(int argc, char **argv) {
    const char *path = NULL;
    bool help = false;
    const struct option options[] = {
        {"config", 'c', OPTION_TEXT, &path, "FILE", "the configuration (default: " COMMANDS_CONFIG ")"},
        {"help", 'h', OPTION_FLAG, &help, NULL, "this text"},
    };
    struct server_config config CLEANUP(server_config_free) = {0};
    struct err err;
    if (!commands_parse(options, ARRAY_LEN(options), argc, argv, &err))
        return commands_fail(&err);
    if (help) {
        printf(
            "usage: pawld health [--config FILE]\n\nAsks the running server's administration listener for /readyz. Exit code 0: ready, 1: not.\n\n");
        option_help(stdout, options, ARRAY_LEN(options));
        return EXIT_OK;
    }
    if (!commands_config(path, &config, &err) || !probe(&config, &err)) {
        commands_fail(&err);
        return EXIT_FAILED;
    }
    printf("ready\n");
    return EXIT_OK;
}
