/* The one error type: filled by the function that fails, kept on the caller's stack. */
#ifndef PAWL_COMMON_ERR_H
#define PAWL_COMMON_ERR_H

#include "common/defs.h"

/* Why something failed. The zero value says "nothing failed"; it is never a verdict. */
enum err_code {
    ERR_NONE = 0,

    /* The machine. */
    ERR_INTERNAL,
    ERR_NO_MEMORY,
    ERR_IO,
    ERR_NO_SPACE,
    ERR_BUSY,
    ERR_TIMEOUT,
    ERR_NETWORK,
    ERR_TLS,

    /* The request. */
    ERR_USAGE,
    ERR_CONFIG,
    ERR_INVALID,
    ERR_UNKNOWN_FIELD,
    ERR_TOO_LARGE,
    ERR_UNAUTHENTICATED,
    ERR_FORBIDDEN,
    ERR_SCOPE,
    ERR_NOT_FOUND,
    ERR_METHOD,
    ERR_CONFLICT,
    ERR_GONE,
    ERR_PRECONDITION,
    ERR_PRECONDITION_REQUIRED,
    ERR_LENGTH_REQUIRED,
    ERR_MEDIA_TYPE,
    ERR_RANGE,
    ERR_IDEMPOTENCY,
    ERR_RATE,
    ERR_NOT_IMPLEMENTED,

    /* The device's standing. */
    ERR_DEVICE_PENDING,
    ERR_DEVICE_REVOKED,
    ERR_DEVICE_RETIRED,
    ERR_IDENTITY,
    ERR_NOT_ENTITLED,
    ERR_DOWNGRADE,

    /* Trust: the kind of attack or fault (trust.md §5); err_tag() gives the E_ name. */
    ERR_FORMAT,
    ERR_SIGNATURE,
    ERR_THRESHOLD,
    ERR_ROLLBACK,
    ERR_EXPIRED,
    ERR_FREEZE,
    ERR_MIX,
    ERR_LENGTH,
    ERR_HASH,
    ERR_TARGET,
    ERR_DIRECTIVE,
    ERR_HARDWARE,
    ERR_STEPPING_STONE,
    ERR_DECRYPT,
    ERR_SLOW,
    ERR_INSTALL,
    ERR_SELFTEST,
    ERR_KEY,
    ERR_PASSPHRASE,

    ERR_CODE_COUNT
};

enum { ERR_TEXT_SIZE = 448, ERR_FIELD_SIZE = 64 };

struct err {
    enum err_code code;
    char field[ERR_FIELD_SIZE]; /* the JSON field, option or file at fault; empty: none */
    char text[ERR_TEXT_SIZE];   /* one line for people, no secret in it */
};

/* Fills *err and returns false, so that `return err_set(err, …)` reads as one thought. A later call overwrites. */
bool err_set(struct err *err, enum err_code code, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same, naming the field at fault. */
bool err_set_field(struct err *err, enum err_code code, const char *field, const char *format, ...) PRINTF_LIKE(4, 5);

/* The same, with ": strerror(errno)" behind the text; ENOSPC and EDQUOT become ERR_NO_SPACE, ENOMEM ERR_NO_MEMORY, ENOENT ERR_NOT_FOUND,
 * anything else ERR_IO. */
bool err_errno(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts "prefix: " before the text that is there and returns false. */
bool err_prefix(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

bool err_no_memory(struct err *err);

/* Stable names: "not-found" (problem types, logs) and "E_NOT_FOUND" (what agents report). Never NULL. */
const char *err_slug(enum err_code code);
const char *err_tag(enum err_code code);

#endif
