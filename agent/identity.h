/* The files of the device's own key and certificate (agent/enrol.h says which), each written so that a crash leaves the old or the new one. */
#ifndef PAWL_AGENT_IDENTITY_H
#define PAWL_AGENT_IDENTITY_H

#include "common/buf.h"

enum { AGENT_IDENTITY_MAX = 65536 };

/* What a file is called, below <state>/identity/. */
#define AGENT_IDENTITY_CURRENT  "current.pem"
#define AGENT_IDENTITY_NEXT     "next.pem"
#define AGENT_IDENTITY_NEXT_KEY "next.key"

/* The folder, made 0700 when it is missing, without what a killed process left half written. */
bool agent_identity_open(const char *state, struct err *err) MUST_USE;

bool agent_identity_path(const char *state, const char *name, struct buf *ret_path, struct err *err) MUST_USE;
bool agent_identity_exists(const char *state, const char *name);
bool agent_identity_read(const char *state, const char *name, struct buf *ret_text, struct err *err) MUST_USE;

/* The private key of current.pem alone. */
bool agent_identity_read_key(const char *state, struct buf *ret_key, struct err *err) MUST_USE;

/* A key, or a key with its certificate behind it; mode 0400. */
bool agent_identity_write(const char *state, const char *name, const struct buf *key, const struct buf *certificate, struct err *err) MUST_USE;

/* next.pem becomes current.pem. */
bool agent_identity_take_next(const char *state, struct err *err) MUST_USE;

/* A file that is not there is fine. */
bool agent_identity_drop(const char *state, const char *name, struct err *err) MUST_USE;

#endif
