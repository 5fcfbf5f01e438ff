#include "server/metrics.h"

#include <string.h>

#include "common/clock.h"
#include "server/alarms.h"
#include "server/expiry.h"
#include "server/exposition.h"
#include "server/readiness.h"
#include "server/server.h"

static void add(_Atomic uint64_t *counter, uint64_t value) {
    atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

static uint64_t get(_Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Reasons are names from two tables: their addresses say which. */
static void count_poll(struct metrics *metrics, const char *reason) {
    for (int i = 0; i < FLEET_REASON_COUNT; i++)
        if (reason == fleet_reason_name((enum fleet_reason)i)) {
            add(&metrics->polls[i], 1);
            return;
        }
    for (int i = 0; i < ERR_CODE_COUNT; i++)
        if (reason == err_slug((enum err_code)i)) {
            add(&metrics->polls_refused[i], 1);
            return;
        }
}

static const int64_t times_us[METRICS_TIMES] = {1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 10000000};

static void count_time(struct metrics *metrics, enum api_listener listener, int64_t duration_us) {
    size_t i = wire_column(listener), class = 0;
    while (class < METRICS_TIMES && duration_us > times_us[class])
        class ++;
    add(&metrics->times[i][class], 1);
    add(&metrics->times_sum_us[i], duration_us > 0 ? (uint64_t)duration_us : 0);
}

static bool is_poll(const struct api_route *route) {
    return strcmp(route->pattern, "/check") == 0 || strcmp(route->pattern, "/{tenant}/controller/v1/{controller}") == 0;
}

void metrics_count(struct metrics *metrics, const struct api_call *call, uint64_t bytes_sent, int64_t duration_us) {
    size_t column = status_index(call->reply.status);
    count_time(metrics, call->listener, duration_us);
    if (call->route == NULL) {
        add(&metrics->unrouted[column], 1);
        return;
    }
    size_t route = (size_t)(call->route - api_routes);
    if (route >= METRICS_ROUTES)
        return;
    add(&metrics->requests[route][column], 1);
    add(&metrics->duration_us[route], duration_us > 0 ? (uint64_t)duration_us : 0);
    add(&metrics->bytes[route], bytes_sent);
    if ((call->listener == API_DEVICE || call->listener == API_TOKEN) && is_poll(call->route) && call->reply.reason != NULL)
        count_poll(metrics, call->reply.reason);
}

static void write_requests(struct metrics *metrics, struct buf *out) {
    exposition_head(out, "pawl_requests_total", "counter", "Requests by route and status.");
    for (size_t r = 0; r < api_route_count; r++)
        for (size_t s = 0; s <= STATUS_COUNT; s++) {
            uint64_t value = get(&metrics->requests[r][s]);
            if (value != 0)
                buf_printf(out, "pawl_requests_total{method=\"%s\",route=\"%s\",status=\"%d\"} %llu\n", api_routes[r].method, api_routes[r].pattern,
                           status_at(s), (unsigned long long)value);
        }
    for (size_t s = 0; s <= STATUS_COUNT; s++)
        if (get(&metrics->unrouted[s]) != 0)
            buf_printf(out, "pawl_requests_total{method=\"\",route=\"\",status=\"%d\"} %llu\n", status_at(s),
                       (unsigned long long)get(&metrics->unrouted[s]));
    exposition_head(out, "pawl_request_duration_seconds_total", "counter", "Time in requests by route.");
    for (size_t r = 0; r < api_route_count; r++)
        if (get(&metrics->duration_us[r]) != 0)
            buf_printf(out, "pawl_request_duration_seconds_total{method=\"%s\",route=\"%s\"} %.6f\n", api_routes[r].method, api_routes[r].pattern,
                       (double)get(&metrics->duration_us[r]) / 1e6);
    exposition_head(out, "pawl_reply_bytes_total", "counter", "Body bytes sent by route.");
    for (size_t r = 0; r < api_route_count; r++)
        if (get(&metrics->bytes[r]) != 0)
            buf_printf(out, "pawl_reply_bytes_total{method=\"%s\",route=\"%s\"} %llu\n", api_routes[r].method, api_routes[r].pattern,
                       (unsigned long long)get(&metrics->bytes[r]));
}

static void write_times(struct metrics *metrics, struct buf *out) {
    exposition_head(out, "pawl_request_seconds", "histogram", "Time from a request's head to the end of its reply, by listener.");
    for (size_t i = 0; i < WIRE_COLUMNS; i++) {
        uint64_t classes[METRICS_TIMES + 1];
        for (size_t c = 0; c <= METRICS_TIMES; c++)
            classes[c] = get(&metrics->times[i][c]);
        const struct exposition_histogram times = {times_us, classes, METRICS_TIMES, get(&metrics->times_sum_us[i])};
        exposition_histogram(out, "pawl_request_seconds", "listener", wire_columns[i], &times);
    }
}

static void write_polls(struct metrics *metrics, struct buf *out) {
    exposition_head(out, "pawl_polls_total", "counter", "Polls by outcome and reason.");
    for (int i = 0; i < FLEET_REASON_COUNT; i++)
        if (get(&metrics->polls[i]) != 0)
            buf_printf(out, "pawl_polls_total{outcome=\"%s\",reason=\"%s\"} %llu\n", i == FLEET_REASON_OFFERED ? "offer" : "nothing",
                       fleet_reason_name((enum fleet_reason)i), (unsigned long long)get(&metrics->polls[i]));
    for (int i = 0; i < ERR_CODE_COUNT; i++)
        if (get(&metrics->polls_refused[i]) != 0)
            buf_printf(out, "pawl_polls_total{outcome=\"refused\",reason=\"%s\"} %llu\n", err_slug((enum err_code)i),
                       (unsigned long long)get(&metrics->polls_refused[i]));
}

static void write_store(struct server *server, struct buf *out) {
    struct db_stats stats;
    db_stats_get(server->db, &stats);
    exposition_counter(out, "pawl_db_commits_total", "Commits of the writer.", stats.commits);
    exposition_counter(out, "pawl_db_jobs_total", "Jobs the writer has finished.", stats.jobs);
    exposition_counter(out, "pawl_db_jobs_failed_total", "Jobs that were undone.", stats.failed_jobs);
    exposition_counter(out, "pawl_db_jobs_refused_total", "Jobs refused because the queue was full.", stats.refused);
    const struct exposition_histogram commits = {db_commit_classes_us, stats.commit_classes, DB_COMMIT_CLASSES, stats.commit_us_total};
    exposition_head(out, "pawl_db_commit_seconds", "histogram", "Time in COMMIT.");
    exposition_histogram(out, "pawl_db_commit_seconds", NULL, NULL, &commits);
    exposition_head(out, "pawl_db_commit_seconds_max", "gauge", "Longest COMMIT.");
    buf_printf(out, "pawl_db_commit_seconds_max %.6f\n", (double)stats.commit_us_max / 1e6);
    exposition_gauge(out, "pawl_db_queue_depth", "Jobs that wait for the writer.", (int64_t)stats.queue_depth);
    int64_t free_bytes = readiness_free_bytes(server);
    if (free_bytes >= 0)
        exposition_gauge(out, "pawl_store_free_bytes", "Free space on the file system of database and images.", free_bytes);
}

static void write_wire(struct server *server, struct buf *out) {
    struct wire_counters wire;
    struct wire *running = atomic_load(&server->wire);
    if (running == NULL)
        return;
    wire_count(running, &wire);
    exposition_head(out, "pawl_connections", "gauge", "Open connections by listener.");
    for (size_t i = 0; i < WIRE_COLUMNS; i++)
        buf_printf(out, "pawl_connections{listener=\"%s\"} %llu\n", wire_columns[i], (unsigned long long)wire.open_connections[i]);
    exposition_gauge(out, "pawl_requests_open", "Requests that a handler has.", (int64_t)wire.open_requests);
    exposition_counter(out, "pawl_connections_accepted_total", "Connections accepted.", wire.accepted);
    exposition_head(out, "pawl_handshakes_total", "counter", "TLS handshakes by result.");
    buf_printf(out, "pawl_handshakes_total{result=\"full\"} %llu\n", (unsigned long long)wire.handshakes_full);
    buf_printf(out, "pawl_handshakes_total{result=\"resumed\"} %llu\n", (unsigned long long)wire.handshakes_resumed);
    buf_printf(out, "pawl_handshakes_total{result=\"failed\"} %llu\n", (unsigned long long)wire.handshakes_failed);
    exposition_head(out, "pawl_connections_cut_total", "counter", "Connections cut at a deadline, by phase.");
    buf_printf(out, "pawl_connections_cut_total{phase=\"handshake\"} %llu\n", (unsigned long long)wire.cut_handshake);
    buf_printf(out, "pawl_connections_cut_total{phase=\"head\"} %llu\n", (unsigned long long)wire.cut_head);
    buf_printf(out, "pawl_connections_cut_total{phase=\"idle\"} %llu\n", (unsigned long long)wire.cut_idle);
    buf_printf(out, "pawl_connections_cut_total{phase=\"body\"} %llu\n", (unsigned long long)wire.cut_body);
    buf_printf(out, "pawl_connections_cut_total{phase=\"reply\"} %llu\n", (unsigned long long)wire.cut_reply);
    exposition_counter(out, "pawl_requests_refused_at_gate_total", "Malformed requests.", wire.refused_at_gate);
    exposition_counter(out, "pawl_connections_refused_total", "Connections over a ceiling.", wire.refused_at_capacity);
    exposition_gauge(out, "pawl_downloads", "Images on their way.", (int64_t)wire.open_downloads);
    exposition_counter(out, "pawl_downloads_refused_total", "Downloads over the number at one time.", wire.refused_downloads);
    exposition_counter(out, "pawl_connections_refused_proxy_total", "Connections from a balancer without a good PROXY header.", wire.refused_proxy);
    exposition_counter(out, "pawl_bytes_received_total", "HTTP bytes received.", wire.bytes_received);
    exposition_counter(out, "pawl_bytes_sent_total", "HTTP bytes sent.", wire.bytes_sent);
    exposition_counter(out, "pawl_tls_sessions_stored_total", "TLS sessions stored.", wire.sessions_stored);
    exposition_counter(out, "pawl_tls_sessions_refused_total", "TLS sessions offered and refused.", wire.sessions_refused);
}

static void write_expiry(struct server *server, struct buf *out) {
    exposition_head(out, "pawl_metadata_expires_seconds", "gauge", "When TUF metadata expires (Unix time).");
    for (int i = 0; i < API_SERVED_ROLES; i++)
        if (atomic_load(&server->served.roles[i].version) != 0)
            buf_printf(out, "pawl_metadata_expires_seconds{role=\"%s\"} %lld\n", api_served_names[i],
                       (long long)atomic_load(&server->served.roles[i].expires_at));
    struct api_served_role delegated[TRUSTED_DELEGATED_MAX];
    size_t count = api_served_delegated(&server->served, delegated);
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "pawl_metadata_expires_seconds{role=\"%s\"} %lld\n", delegated[i].name, (long long)delegated[i].expires_at);
    exposition_head(out, "pawl_metadata_version", "gauge", "Version of TUF metadata.");
    for (int i = 0; i < API_SERVED_ROLES; i++)
        if (atomic_load(&server->served.roles[i].version) != 0)
            buf_printf(out, "pawl_metadata_version{role=\"%s\"} %lld\n", api_served_names[i],
                       (long long)atomic_load(&server->served.roles[i].version));
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "pawl_metadata_version{role=\"%s\"} %lld\n", delegated[i].name, (long long)delegated[i].version);
    struct api_expiry certificates[API_EXPIRIES_CERTIFICATES];
    size_t certificate_count = expiry_certificates(server, certificates);
    exposition_head(out, "pawl_certificate_expires_seconds", "gauge", "When the first certificate in a file expires (Unix time).");
    for (size_t i = 0; i < certificate_count; i++)
        buf_printf(out, "pawl_certificate_expires_seconds{file=\"%s\"} %lld\n", certificates[i].what + strlen("certificate:"),
                   (long long)certificates[i].expires_at);
}

void metrics_write(struct server *server, struct db_conn *db, struct buf *out) {
    metrics_write_process(server, out);
    write_requests(&server->metrics, out);
    write_polls(&server->metrics, out);
    write_times(&server->metrics, out);
    metrics_write_fleet(server, db, out);
    write_store(server, out);
    write_wire(server, out);
    write_expiry(server, out);
    alarms_metrics(server, db, out);
}
