#include "server/alarms.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "db/event.h"
#include "db/expiry.h"
#include "server/expiry.h"
#include "server/exposition.h"

enum { MAX_CRLS = CERTS_MAX_CRLS * WIRE_MAX_LISTENERS, MAX_ALARMS = MAX_CRLS + API_EXPIRIES_CERTIFICATES, DETAIL_SIZE = 640 };

struct alarm {
    const char *kind;
    char detail[DETAIL_SIZE]; /* a JSON object */
};

/* On its way to the writer. */
struct report {
    size_t count;
    struct alarm alarms[MAX_ALARMS];
};

static void add(struct report *report, const char *kind, const char *name, const char *value, const char *time_name, int64_t time,
                const char *listener) {
    struct alarm *alarm = &report->alarms[report->count];
    struct buf detail CLEANUP(buf_free) = BUF_INIT(DETAIL_SIZE - 1);
    char text[CLOCK_RFC3339_SIZE];
    struct err ignored;
    clock_rfc3339(time, text);
    buf_printf(&detail, "{\"%s\":", name);
    json_write_text(&detail, value);
    buf_printf(&detail, ",\"%s\":\"%s\"", time_name, text);
    if (listener != NULL)
        buf_printf(&detail, ",\"listener\":\"%s\"", listener);
    buf_byte(&detail, '}');
    if (!buf_ok(&detail, kind, &ignored))
        return;
    alarm->kind = kind;
    memcpy(alarm->detail, detail.data, detail.len);
    alarm->detail[detail.len] = '\0';
    report->count++;
}

/* ---- what is on ---- */

static void find_crls(struct server *server, int64_t now, struct report *report) {
    struct wire *wire = atomic_load(&server->wire);
    struct wire_crl *crls = wire != NULL ? calloc(MAX_CRLS, sizeof(*crls)) : NULL;
    size_t count = crls != NULL ? wire_crls(wire, crls, MAX_CRLS) : 0;
    for (size_t i = 0; i < count; i++)
        if (crls[i].crl.next_update <= now)
            add(report, "crl-expired", "issuer", crls[i].crl.issuer, "next_update", crls[i].crl.next_update, wire_columns[wire_column(crls[i].role)]);
    free(crls);
}

static void find_certificates(struct server *server, int64_t now, struct report *report) {
    struct api_expiry files[API_EXPIRIES_CERTIFICATES];
    size_t count = expiry_certificates(server, files);
    for (size_t i = 0; i < count; i++)
        if (files[i].expires_at < now + atomic_load(&server->live)->tls.expiry_warning)
            add(report, "certificate-expiring", "file", files[i].what + strlen("certificate:"), "expires_at", files[i].expires_at, NULL);
}

/* ---- telling ---- */

static bool write_events(struct db_conn *tx, void *arg, struct err *err) {
    const struct report *report = arg;
    for (size_t i = 0; i < report->count; i++)
        if (!db_event_insert(tx, clock_now(), report->alarms[i].kind, NULL, report->alarms[i].detail, err))
            return false;
    return true;
}

static void events_written(void *arg, bool ok, const struct err *err) {
    if (!ok)
        log_err(LOG_ERROR, "alarms could not be written as events", err);
    free(arg);
}

/* Takes the report. */
static void tell_take(struct server *server, struct report *report) {
    const struct db_job job = {.run = write_events, .done = events_written, .arg = report};
    struct err err;
    for (size_t i = 0; i < report->count; i++)
        log_event(LOG_WARN, report->alarms[i].kind, "detail", report->alarms[i].detail, (char *)NULL);
    if (!db_submit(server->db, &job, &err))
        events_written(report, false, &err);
}

static void look(struct alarms *alarms, struct server *server, int64_t mono_ms) {
    struct report *report = calloc(1, sizeof(*report));
    if (report == NULL)
        return; /* the next look is a minute away */
    int64_t now = clock_now();
    find_crls(server, now, report);
    find_certificates(server, now, report);
    bool tells = report->count > alarms->told || (report->count > 0 && mono_ms - alarms->told_at_ms >= ALARMS_AGAIN_MS);
    alarms->told = report->count;
    if (!tells) {
        free(report);
        return;
    }
    alarms->told_at_ms = mono_ms;
    tell_take(server, report);
}

/* ---- devices ---- */

static bool tell_devices(struct db_conn *tx, void *arg, struct err *err) {
    struct server *server = arg;
    int64_t now = clock_now();
    size_t told;
    if (!db_expiry_tell(tx, now + atomic_load(&server->live)->tls.expiry_warning, ALARMS_DEVICES_MAX, now, &told, err))
        return false;
    atomic_store(&server->expiry_again, told == ALARMS_DEVICES_MAX); /* a slice at a time: nobody waits long for the writer */
    return true;
}

static void devices_told(void *arg, bool ok, const struct err *err) {
    (void)arg;
    if (!ok)
        log_err(LOG_ERROR, "devices' certificates that end could not be told", err);
}

static void look_at_devices(struct server *server) {
    const struct db_job job = {.run = tell_devices, .done = devices_told, .arg = server};
    struct err err;
    if (!db_submit(server->db, &job, &err))
        devices_told(server, false, &err);
}

void alarms_run(struct alarms *alarms, struct server *server, int64_t mono_ms) {
    if (mono_ms >= alarms->look_at_ms) {
        alarms->look_at_ms = mono_ms + ALARMS_EVERY_MS;
        look(alarms, server, mono_ms);
    }
    if (atomic_exchange(&server->expiry_again, false) || mono_ms >= alarms->devices_at_ms) {
        alarms->devices_at_ms = mono_ms + ALARMS_DEVICES_MS;
        look_at_devices(server);
    }
}

void alarms_reset(struct alarms *alarms) {
    *alarms = (struct alarms){0};
}

/* ---- metrics ---- */

static void write_crls(const struct wire_crl *crls, size_t count, struct buf *out) {
    exposition_head(out, "pawl_crl_next_update_seconds", "gauge", "When a newer revocation list is due (Unix time).");
    for (size_t i = 0; i < count; i++)
        if (crls[i].crl.next_update != INT64_MAX)
            exposition_sample(out, "pawl_crl_next_update_seconds", crls[i].crl.next_update, "listener", wire_columns[wire_column(crls[i].role)],
                              "issuer", crls[i].crl.issuer, (const char *)NULL);
    exposition_head(out, "pawl_crl_revoked", "gauge", "Certificates on a revocation list.");
    for (size_t i = 0; i < count; i++)
        exposition_sample(out, "pawl_crl_revoked", (int64_t)crls[i].crl.revoked, "listener", wire_columns[wire_column(crls[i].role)], "issuer",
                          crls[i].crl.issuer, (const char *)NULL);
}

void alarms_metrics(struct server *server, struct db_conn *db, struct buf *out) {
    struct wire *wire = atomic_load(&server->wire);
    struct wire_crl *crls = wire != NULL ? calloc(MAX_CRLS, sizeof(*crls)) : NULL;
    size_t count = crls != NULL ? wire_crls(wire, crls, MAX_CRLS) : 0;
    write_crls(crls, count, out);
    free(crls);
    int64_t now = clock_now(), expiring, expired;
    struct err ignored;
    if (!db_expiry_count(db, 1, now, &expired, &ignored) ||
        !db_expiry_count(db, now, now + atomic_load(&server->live)->tls.expiry_warning, &expiring, &ignored))
        return;
    exposition_head(out, "pawl_device_certificates", "gauge", "Devices in use whose certificate ends within [tls] expiry_warning, or has ended.");
    exposition_sample(out, "pawl_device_certificates", expiring, "state", "expiring", (const char *)NULL);
    exposition_sample(out, "pawl_device_certificates", expired, "state", "expired", (const char *)NULL);
}
