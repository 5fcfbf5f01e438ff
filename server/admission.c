#include "server/admission.h"

#include <string.h>

#include "server/conn.h"

enum {
    SHARE_OF_ADDRESS = 4,  /* one address has 1/4 of the handshakes, when half of them are taken */
    WAITING_FOR_ONE = 4,   /* connections may wait for each place */
    LEAST_WAITING = 64,    /* also with few places */
    GRACE_OF_DEADLINE = 8, /* a handshake is stalled after 1/8 of its deadline */
};

static size_t class_of(enum api_listener role) {
    return role == API_ADMIN ? 1 : 0;
}

static struct admission *admission_of(const struct front_conn *conn) {
    return &conn->worker->admissions[class_of(conn->role)];
}

void admission_init(struct worker *worker) {
    size_t share = (size_t)worker->wire->settings.max_handshakes / worker->wire->worker_count;
    for (size_t i = 0; i < ADMISSION_CLASSES; i++) {
        struct admission *admission = &worker->admissions[i];
        admission->max_begun = share > 0 ? share : 1;
        admission->max_waiting = admission->max_begun * WAITING_FOR_ONE;
        if (admission->max_waiting < LEAST_WAITING)
            admission->max_waiting = LEAST_WAITING;
    }
}

/* ---- lines ---- */

static void append(struct admission_line *line, struct front_conn *conn) {
    conn->admission.prev = line->last;
    conn->admission.next = NULL;
    *(line->last ? &line->last->admission.next : &line->first) = conn;
    line->last = conn;
    line->count++;
}

static void unlink_conn(struct admission_line *line, struct front_conn *conn) {
    struct admission_state *state = &conn->admission;
    *(state->prev ? &state->prev->admission.next : &line->first) = state->next;
    *(state->next ? &state->next->admission.prev : &line->last) = state->prev;
    line->count--;
}

/* ---- an address's share ---- */

enum { KEY_SIZE = 9 };

/* Apart from the key of its connections, which is 8 bytes long, and from a device's, which ends in a zero. */
static void make_key(const struct front_conn *conn, uint8_t ret_key[KEY_SIZE]) {
    memcpy(ret_key, conn->address_key, sizeof(conn->address_key));
    ret_key[KEY_SIZE - 1] = (uint8_t)(1 + class_of(conn->role));
}

static bool take_share(const struct front_conn *conn) {
    const struct admission *admission = admission_of(conn);
    int64_t all = conn->worker->wire->settings.max_handshakes;
    int64_t share = admission->begun.count * 2 < admission->max_begun ? all : all / SHARE_OF_ADDRESS;
    uint8_t key[KEY_SIZE];
    make_key(conn, key);
    return limits_enter(conn->worker->wire->limits, key, sizeof(key), share > 0 ? share : 1);
}

static void give_share(const struct front_conn *conn) {
    uint8_t key[KEY_SIZE];
    make_key(conn, key);
    limits_leave(conn->worker->wire->limits, key, sizeof(key));
}

/* ---- who has to go ---- */

/* The oldest handshake that is stalled, of the same address or (NULL) of any. False: there is none. */
static bool cut_stalled(struct admission *admission, const struct worker *worker, const struct front_conn *like) {
    int64_t before_ms = worker->now_ms - worker->wire->settings.handshake_deadline_ms / GRACE_OF_DEADLINE;
    struct front_conn *conn = admission->begun.first;
    while (conn && conn->admission.began_ms <= before_ms) {
        if (!like || memcmp(conn->address_key, like->address_key, sizeof(conn->address_key)) == 0) {
            front_cut_handshake(conn);
            return true;
        }
        conn = conn->admission.next;
    }
    return false;
}

/* The oldest of the waiting with no claim to a place. */
static struct front_conn *find_idle(const struct admission *admission) {
    struct front_conn *conn = admission->waiting.first;
    while (conn && conn->admission.ready && !conn->admission.over_share)
        conn = conn->admission.next;
    return conn;
}

/* ---- coming and going ---- */

bool admission_open(const struct worker *worker, enum api_listener role) {
    const struct admission *admission = &worker->admissions[class_of(role)];
    return admission->waiting.count < admission->max_waiting || find_idle(admission) != NULL;
}

void admission_enter(struct front_conn *conn) {
    struct admission *admission = admission_of(conn);
    struct front_conn *idle = admission->waiting.count < admission->max_waiting ? NULL : find_idle(admission);
    if (idle)
        front_cut_handshake(idle);
    append(&admission->waiting, conn);
    conn->admission.place = ADMISSION_WAITS;
}

bool admission_begin(struct front_conn *conn) {
    struct admission *admission = admission_of(conn);
    struct admission_state *state = &conn->admission;
    if (state->place == ADMISSION_BEGUN)
        return true;
    admission->ready += !state->ready;
    state->ready = true;
    state->over_share = !take_share(conn) && !(cut_stalled(admission, conn->worker, conn) && take_share(conn));
    if (state->over_share)
        return false;
    if (admission->begun.count >= admission->max_begun && !cut_stalled(admission, conn->worker, NULL)) {
        give_share(conn);
        return false;
    }
    admission->ready--;
    unlink_conn(&admission->waiting, conn);
    append(&admission->begun, conn);
    state->place = ADMISSION_BEGUN;
    state->began_ms = conn->worker->now_ms;
    return true;
}

void admission_leave(struct front_conn *conn) {
    struct admission *admission = admission_of(conn);
    if (conn->admission.place == ADMISSION_WAITS) {
        admission->ready -= conn->admission.ready;
        unlink_conn(&admission->waiting, conn);
    } else if (conn->admission.place == ADMISSION_BEGUN) {
        give_share(conn);
        unlink_conn(&admission->begun, conn);
        admission->freed = true;
    }
    conn->admission.place = ADMISSION_OUT;
}

/* ---- turns ---- */

/* Only connections that are begun are cut on the way: the line itself loses none but the one that begins. */
static void run_waiting(struct admission *admission) {
    const struct front_conn *refused = NULL;
    for (struct front_conn *conn = admission->waiting.first, *next; conn; conn = next) {
        next = conn->admission.next;
        bool again = refused && memcmp(refused->address_key, conn->address_key, sizeof(conn->address_key)) == 0;
        if (again && conn->admission.ready) {
            conn->admission.over_share = true;
        } else if (conn->admission.ready) {
            pump_run(conn);
            refused = conn->admission.place == ADMISSION_WAITS && conn->admission.over_share ? conn : refused;
        }
    }
}

void admission_turn(struct worker *worker) {
    for (size_t i = 0; i < ADMISSION_CLASSES; i++) {
        struct admission *admission = &worker->admissions[i];
        if (admission->ready > 0 && (admission->freed || worker->now_ms >= admission->due_ms)) {
            admission->due_ms = worker->now_ms + ADMISSION_RETRY_MS;
            admission->freed = false;
            run_waiting(admission);
        }
    }
}

int admission_wait_ms(const struct worker *worker) {
    for (size_t i = 0; i < ADMISSION_CLASSES; i++)
        if (worker->admissions[i].ready > 0)
            return ADMISSION_RETRY_MS;
    return -1;
}

size_t admission_count(const struct worker *worker) {
    size_t count = 0;
    for (size_t i = 0; i < ADMISSION_CLASSES; i++)
        count += worker->admissions[i].begun.count;
    return count;
}
