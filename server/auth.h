/* Who is calling: a device by its certificate and its registry entry, an operator by a bearer token or an administrator's certificate; decided from
 * the route's row alone. */
#ifndef PAWL_SERVER_AUTH_H
#define PAWL_SERVER_AUTH_H

#include <pthread.h>

#include "api/api.h"
#include "common/siphash.h"

enum { AUTH_THROTTLE_SLOTS = 1024, AUTH_THROTTLE_WINDOW_S = 60 };

struct server;

/* Requests of one kind (failed token attempts, enrolments) by address, IPv6 by its /64; a fixed table: an address that shares a slot with a busier
 * one takes it over when its window is past. */
struct auth_throttle {
    pthread_mutex_t lock;
    struct siphash_key key; /* of the slots: nobody can aim at another's */
    int64_t limit;          /* in a window */
    struct {
        char address[48];
        int64_t window_start;
        int64_t count;
    } slots[AUTH_THROTTLE_SLOTS];
};

void auth_throttle_init(struct auth_throttle *throttle, int64_t limit);

/* From any thread. */
void auth_throttle_limit(struct auth_throttle *throttle, int64_t limit);

/* Counts one more. */
void auth_throttle_count(struct auth_throttle *throttle, const char *address, int64_t now);
bool auth_throttle_over(struct auth_throttle *throttle, const char *address, int64_t now) MUST_USE;

/* Counts a failed attempt with a token or a claim; true when there were too many from this address already. */
bool auth_failed_attempt(struct server *server, const char *address, int64_t now) MUST_USE;

/* For rows that count requests by address. ERR_RATE. */
bool auth_check_rate(const struct api_call *call, struct err *err) MUST_USE;

/* By the row's role. ERR_UNAUTHENTICATED, ERR_RATE, ERR_SCOPE; ERR_IDENTITY, ERR_DEVICE_PENDING, ERR_DEVICE_REVOKED, ERR_DEVICE_RETIRED. An unknown
 * device passes with an empty call->device: auth_register() on the writer is next. */
bool auth_check(struct api_call *call, struct err *err) MUST_USE;

/* True when auth_register() must run: the device is unknown, or has no key yet. */
bool auth_needs_writer(const struct api_call *call) MUST_USE;

/* On the writer: the registry is asked again, an unknown device is registered, the first key pinned. *ret_refusal: the device may not
 * do this (pending, another key): commit what was written, and answer with *err. */
bool auth_register(struct api_call *call, bool *ret_refusal, struct err *err) MUST_USE;

/* For the handshake and for resumption: false for revoked and retired devices. Another key than the pinned one is told so in HTTP. */
bool auth_may_connect(const struct api_env *env, const struct api_identity *identity) MUST_USE;

/* Of an operator's call that goes on: is the token still good, or may the certificate do what it could when the call began? */
bool auth_still_allowed(struct api_call *call) MUST_USE;

#endif
