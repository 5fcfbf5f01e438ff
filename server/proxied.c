#include "server/proxied.h"

#include <errno.h>
#include <sys/socket.h>

#include "server/proxy.h"

static void refuse(struct front_conn *conn) {
    worker_add(&conn->worker->counters.refused_proxy, 1);
    front_kill(conn);
}

/* What was looked at is taken out of the socket; what follows is TLS. */
static bool take(struct front_conn *conn, const struct proxy_header *header) {
    uint8_t data[PROXY_MAX];
    if (recv(conn->fd, data, header->len, MSG_DONTWAIT) != (ssize_t)header->len) {
        refuse(conn);
        return false;
    }
    conn->awaits_proxy = false;
    return front_set_client(conn, header->has_source ? &header->source : NULL);
}

bool proxied_begin(struct front_conn *conn) {
    uint8_t data[PROXY_MAX];
    struct proxy_header header;
    ssize_t got = recv(conn->fd, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
        conn->tls.readable = false;
        return false;
    }
    switch (got > 0 ? proxy_parse(data, (size_t)got, &header) : PROXY_REFUSED) {
    case PROXY_DONE:
        return take(conn, &header);
    case PROXY_MORE:
        conn->tls.readable = false; /* the next byte is an edge again */
        return false;
    default:
        refuse(conn);
        return false;
    }
}
