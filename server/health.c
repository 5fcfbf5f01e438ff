/* pawld health: one GET /readyz over TLS to the server's own administration listener, trusting its own certificate alone. For container health
 * checks. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "certs/probe.h"
#include "common/file.h"
#include "common/program.h"
#include "server/commands.h"

enum { TIMEOUT_S = 5 };

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

static bool probe(const struct server_config *config, struct err *err) {
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static const char good[] = "HTTP/1.1 200";
    struct buf reply CLEANUP(buf_free) = BUF_INIT(4096);
    char host[64];
    uint16_t port;
    int fd CLEANUP(file_close) = -1;
    if (strcmp(config->listen.admin, "off") == 0)
        return err_set(err, ERR_CONFIG, "[listen] admin is off: there is nobody to ask");
    if (!server_config_address(config->listen.admin, "[listen] admin", host, &port, err) || !connect_to(reachable(host), port, &fd, err) ||
        !certs_probe(fd, config->tls.certificate, request, sizeof(good) - 1, &reply, err))
        return false;
    if (strncmp(reply.data, good, sizeof(good) - 1) != 0)
        return err_set(err, ERR_BUSY, "not ready: %.12s", reply.data);
    return true;
}

int commands_health(int argc, char **argv) {
    static const struct commands_line line = {
        .usage =
            "usage: pawld health [--config FILE]\n\nAsks the running server's administration listener for /readyz. Exit code 0: ready, 1: not.\n\n"};
    const char *path;
    struct server_config config CLEANUP(server_config_free) = {0};
    struct err err;
    int code;
    if (!commands_parse(&line, argc, argv, &path, NULL, &code))
        return code;
    if (!commands_config(path, &config, &err) || !probe(&config, &err)) {
        commands_fail(&err);
        return EXIT_FAILED;
    }
    printf("ready\n");
    return EXIT_OK;
}
