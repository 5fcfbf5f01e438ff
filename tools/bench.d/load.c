/* The load of tools/bench: one thread, epoll, many TLS connections, each in a closed loop. Prints one JSON object.
 *
 *   load MODE PORT CA CERT_PREFIX CERTS CONNECTIONS OPERATIONS PATH [SIZE]
 *
 * MODE: full      connect, full handshake, one GET, close
 *       resumed   the same with the session of the connection before
 *       keepalive GETs on open connections
 *       ranges    GETs of 128 KiB pieces of an image of SIZE bytes, on open connections
 *       idle      one GET on each connection, opened a few at one time as a fleet's would be; then holds them until standard input ends
 * Certificates are CERT_PREFIX0.pem/.key to CERT_PREFIX<CERTS-1>.pem/.key, given to connections in turn. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

enum { MAX_CERTS = 256, MAX_HEAD = 16384, RANGE_BYTES = 128 * 1024, IDLE_AT_ONCE = 64 };
enum mode { MODE_FULL, MODE_RESUMED, MODE_KEEPALIVE, MODE_RANGES, MODE_IDLE, MODE_COUNT };

static const char *const mode_names[MODE_COUNT] = {"full", "resumed", "keepalive", "ranges", "idle"};

struct client {
    int fd;
    int cert;
    SSL *ssl;
    SSL_SESSION *session; /* for the next connection */
    bool requested;
    char head[MAX_HEAD];
    size_t head_len;
    bool in_body;
    uint64_t body_left;
    uint64_t offset; /* of the next range */
    int64_t began_us;
};

static struct {
    enum mode mode;
    int port;
    SSL_CTX *contexts[MAX_CERTS];
    int certs, connections;
    long operations, started, done, failed, reused;
    const char *path;
    uint64_t size, bytes;
    int epoll_fd;
    uint32_t *latencies_us;
    int status; /* of the last reply */
} load;

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "failed");
    ERR_print_errors_fp(stderr);
    exit(1);
}

static int on_session(SSL *ssl, SSL_SESSION *session) {
    struct client *client = SSL_get_app_data(ssl);
    SSL_SESSION_free(client->session);
    client->session = session;
    return 1;
}

static void load_contexts(const char *ca, const char *prefix) {
    for (int i = 0; i < load.certs; i++) {
        char path[512];
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        snprintf(path, sizeof(path), "%s%d.pem", prefix, i);
        if (!ctx || SSL_CTX_load_verify_file(ctx, ca) != 1 || SSL_CTX_use_certificate_chain_file(ctx, path) != 1)
            die(path);
        snprintf(path, sizeof(path), "%s%d.key", prefix, i);
        if (SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) != 1)
            die(path);
        SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
        SSL_CTX_set1_groups_list(ctx, "X25519");
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_read_ahead(ctx, 1);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, on_session);
        load.contexts[i] = ctx;
    }
}

static void connect_client(struct client *client) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)load.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("connect");
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
    client->ssl = SSL_new(load.contexts[client->cert]);
    SSL_set_app_data(client->ssl, client);
    SSL_set_fd(client->ssl, client->fd);
    SSL_set_connect_state(client->ssl);
    SSL_set_tlsext_host_name(client->ssl, "localhost");
    if (load.mode == MODE_RESUMED && client->session)
        SSL_set_session(client->ssl, client->session);
    client->requested = client->in_body = false;
    client->head_len = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    epoll_ctl(load.epoll_fd, EPOLL_CTL_ADD, client->fd, &event);
}

static void disconnect_client(struct client *client) {
    SSL_shutdown(client->ssl);
    SSL_free(client->ssl);
    close(client->fd);
    client->ssl = NULL;
    client->fd = -1;
}

static void send_request(struct client *client) {
    char request[1024];
    char range[96] = "";
    if (load.mode == MODE_RANGES) {
        uint64_t end = client->offset + RANGE_BYTES < load.size ? client->offset + RANGE_BYTES : load.size;
        snprintf(range, sizeof(range), "Range: bytes=%llu-%llu\r\n", (unsigned long long)client->offset, (unsigned long long)end - 1);
        client->offset = end < load.size ? end : 0;
    }
    int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: load/1\r\nAccept: */*\r\n%s\r\n", load.path,
                       range);
    if (SSL_write(client->ssl, request, len) != len)
        die("send");
    client->requested = true;
}

/* A new operation on this client, or the end of it. */
static bool begin(struct client *client) {
    if (load.started >= load.operations)
        return false;
    load.started++;
    client->began_us = now_us();
    client->head_len = 0;
    client->in_body = client->requested = false;
    if (!client->ssl)
        connect_client(client);
    else
        send_request(client);
    return true;
}

static void finish(struct client *client) {
    load.latencies_us[load.done++] = (uint32_t)(now_us() - client->began_us);
    if (load.mode == MODE_FULL || load.mode == MODE_RESUMED) {
        load.reused += SSL_session_reused(client->ssl);
        disconnect_client(client);
    }
}

/* The reply's head is complete: how much body follows. */
static void read_head(struct client *client) {
    char *length = strcasestr(client->head, "\r\nContent-Length:");
    load.status = atoi(client->head + 9);
    client->body_left = length ? strtoull(length + 17, NULL, 10) : 0;
    client->in_body = true;
    load.failed += load.status < 200 || load.status > 299;
}

/* Takes bytes of the reply; true when it is complete. */
static bool take(struct client *client, const char *data, size_t len) {
    if (!client->in_body) {
        size_t room = sizeof(client->head) - 1 - client->head_len;
        size_t copied = len < room ? len : room;
        memcpy(client->head + client->head_len, data, copied);
        client->head_len += copied;
        client->head[client->head_len] = '\0';
        char *end = strstr(client->head, "\r\n\r\n");
        if (!end)
            return false;
        size_t head = (size_t)(end + 4 - client->head);
        len -= head - (client->head_len - copied);
        read_head(client);
    }
    load.bytes += len;
    client->body_left -= len < client->body_left ? len : client->body_left;
    return client->body_left == 0;
}

/* Returns false when this client has nothing more to do. */
static bool advance(struct client *client) {
    static char buffer[65536];
    for (;;) {
        if (!client->requested) {
            int result = SSL_do_handshake(client->ssl);
            if (result != 1) {
                if (SSL_get_error(client->ssl, result) == SSL_ERROR_WANT_READ)
                    return true;
                die("handshake");
            }
            send_request(client);
        }
        int got = SSL_read(client->ssl, buffer, sizeof(buffer));
        if (got <= 0) {
            if (SSL_get_error(client->ssl, got) == SSL_ERROR_WANT_READ)
                return true;
            die("reply ended early");
        }
        if (take(client, buffer, (size_t)got)) {
            finish(client);
            if (load.mode == MODE_IDLE || !begin(client))
                return false;
        }
    }
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void report(double seconds) {
    qsort(load.latencies_us, (size_t)load.done, sizeof(uint32_t), by_size);
    long last = load.done > 0 ? load.done - 1 : 0;
    printf("{\"mode\":\"%s\",\"operations\":%ld,\"failed\":%ld,\"reused\":%ld,\"status\":%d,\"bytes\":%llu,\"seconds\":%.6f,\"p50_us\":%u,\"p99_us\":"
           "%u}\n",
           mode_names[load.mode], load.done, load.failed, load.reused, load.status, (unsigned long long)load.bytes, seconds,
           load.latencies_us[last / 2], load.latencies_us[last * 99 / 100]);
    fflush(stdout);
}

/* Opens further connections as far as may be busy at one time. Returns how many are busy. */
static int open_more(struct client *clients, int *opened, int busy) {
    int most = load.mode == MODE_IDLE ? IDLE_AT_ONCE : load.connections;
    for (; *opened < load.connections && busy < most; (*opened)++) {
        struct client *client = &clients[*opened];
        client->fd = -1;
        client->cert = *opened % load.certs;
        busy += begin(client) && advance(client);
    }
    return busy;
}

static void run(struct client *clients) {
    struct epoll_event events[256];
    int opened = 0;
    for (int busy = 0; (busy = open_more(clients, &opened, busy)) > 0;) {
        int count = epoll_wait(load.epoll_fd, events, 256, 10000);
        if (count == 0) {
            errno = 0;
            die("no reply for 10 s");
        }
        for (int i = 0; i < count; i++)
            busy -= !advance(events[i].data.ptr);
    }
}

int main(int argc, char **argv) {
    if (argc < 9) {
        fprintf(stderr, "usage: load MODE PORT CA CERT_PREFIX CERTS CONNECTIONS OPERATIONS PATH [SIZE]\n");
        return 2;
    }
    for (int i = 0; i < MODE_COUNT; i++)
        if (strcmp(argv[1], mode_names[i]) == 0)
            load.mode = (enum mode)i;
    load.port = atoi(argv[2]);
    load.certs = atoi(argv[5]) < MAX_CERTS ? atoi(argv[5]) : MAX_CERTS;
    load.connections = atoi(argv[6]);
    load.operations = atol(argv[7]);
    load.path = argv[8];
    load.size = argc > 9 ? strtoull(argv[9], NULL, 10) : 0;
    load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    load.latencies_us = calloc((size_t)load.operations + 1, sizeof(uint32_t));
    struct client *clients = calloc((size_t)load.connections, sizeof(*clients));
    if (!clients || !load.latencies_us || load.certs < 1)
        die("memory");
    load_contexts(argv[3], argv[4]);
    int64_t began = now_us();
    run(clients);
    report((double)(now_us() - began) / 1e6);
    if (load.mode == MODE_IDLE) {
        char byte;
        while (read(0, &byte, 1) > 0) {
        }
    }
    return 0;
}
