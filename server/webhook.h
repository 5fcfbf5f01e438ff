/* One HTTPS POST after the other, several at a time, to wherever an operator said: the only file of the server that knows libcurl. The address that
 * is really connected to is checked against the networks that are allowed, so that no name, no redirect and no second answer of the DNS leads
 * elsewhere. Everything belongs to one thread, except webhook_wake(). */
#ifndef PAWL_SERVER_WEBHOOK_H
#define PAWL_SERVER_WEBHOOK_H

#include "common/network.h"

enum { WEBHOOK_SLOTS = 8, WEBHOOK_ERROR_SIZE = 200 };

struct webhook_settings {
    const struct network_list *allowed; /* beside public addresses; outlives the sender */
    bool plain_http;
    const char *ca_file; /* NULL: the system's */
    int64_t timeout_ms;  /* of one whole exchange */
};

struct webhook_message {
    const char *url;
    const char *id;         /* webhook-id */
    int64_t timestamp;      /* webhook-timestamp */
    const char *signatures; /* webhook-signature */
    const void *body;
    size_t len;
};

struct webhook_result {
    long status;                    /* 0: no answer */
    bool reached;                   /* there was an answer, whatever it says */
    char error[WEBHOOK_ERROR_SIZE]; /* "": it was taken (2xx) */
};

struct webhook_sender;

/* Before the first thread and the sandbox; once. */
bool webhook_global_start(struct err *err) MUST_USE;
void webhook_global_stop(void);

bool webhook_open(const struct webhook_settings *settings, struct webhook_sender **ret_sender, struct err *err) MUST_USE;

/* Lets go of what is under way. NULL is fine. */
void webhook_close(struct webhook_sender *sender);

/* Begins; the message is copied. context comes back with the result. False: all slots are taken, or no memory. */
bool webhook_begin(struct webhook_sender *sender, const struct webhook_message *message, void *context) MUST_USE;

size_t webhook_busy(const struct webhook_sender *sender);

/* Moves bytes, and waits for more at most that long, or until webhook_wake(). */
void webhook_wait(struct webhook_sender *sender, int64_t ms);
void webhook_wake(struct webhook_sender *sender); /* any thread */

/* One that is over. False: none. */
bool webhook_next(struct webhook_sender *sender, void **ret_context, struct webhook_result *ret_result) MUST_USE;

#endif
