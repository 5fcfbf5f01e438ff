/* Who may begin a TLS handshake: at most so many at one time, and neither silence nor one address may take all the places. Administration has as many
 * places of its own. Everything here belongs to the worker's thread.
 *
 * A connection waits until its client has sent something; only then does it take a place. While places are short, one address has at most a quarter
 * of them, and a handshake that takes longer than the grace gives its place to the next. Where the waiting are too many, those go first that have
 * sent nothing or come from an address that has its share. */
#ifndef PAWL_SERVER_ADMISSION_H
#define PAWL_SERVER_ADMISSION_H

#include "api/api.h"

enum { ADMISSION_CLASSES = 2, ADMISSION_RETRY_MS = 50 };

struct worker;
struct front_conn;

enum admission_place { ADMISSION_OUT = 0, ADMISSION_WAITS, ADMISSION_BEGUN };

/* In the order of coming. */
struct admission_line {
    struct front_conn *first, *last;
    size_t count;
};

/* Of one worker and one class: devices and enrolment, or administration. */
struct admission {
    struct admission_line waiting, begun;
    size_t max_waiting, max_begun;
    size_t ready;   /* of the waiting, those whose client has sent something */
    bool freed;     /* since the last admission_turn() */
    int64_t due_ms; /* when the ready ones are looked at again, although nothing was freed */
};

/* A connection's part. */
struct admission_state {
    struct front_conn *prev, *next;
    enum admission_place place;
    bool ready;
    bool over_share;  /* its address had its share when it asked last */
    int64_t began_ms; /* the handshake */
};

void admission_init(struct worker *worker);

/* Is there room for one more connection? */
bool admission_open(const struct worker *worker, enum api_listener role);

/* A connection that has just come. May cut an older one. */
void admission_enter(struct front_conn *conn);

/* The client has sent something: may the handshake go on? False: it waits, admission_turn() will run it. May cut others. */
bool admission_begin(struct front_conn *conn);

/* The handshake is over, or the connection is. */
void admission_leave(struct front_conn *conn);

/* At the end of a turn: lets those begin that waited for a place. */
void admission_turn(struct worker *worker);

/* How long the worker may sleep; -1: as long as it likes. */
int admission_wait_ms(const struct worker *worker);

/* Handshakes under way. */
size_t admission_count(const struct worker *worker);

#endif
