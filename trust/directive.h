/* The directive (trust.md §3): which release, for this device, now; signed by the online directive key in a TUF envelope. */
#ifndef PAWL_TRUST_DIRECTIVE_H
#define PAWL_TRUST_DIRECTIVE_H

#include "trust/envelope.h"
#include "trust/release.h"

enum {
    DIRECTIVE_MAX = 16384,       /* bytes of the whole document */
    DIRECTIVE_LIFETIME_S = 3600, /* expires − issued; a longer one is refused */
    DIRECTIVE_AHEAD_MAX_S = 600, /* how far the server's clock may be ahead of a device's */
    DIRECTIVE_NONCE_MIN = 16,    /* hex digits */
    DIRECTIVE_NONCE_MAX = 64,
};

enum directive_action { DIRECTIVE_NONE = 0, DIRECTIVE_HOLD, DIRECTIVE_INSTALL };

struct directive {
    const char *device;
    const char *spki_sha256; /* 64 hex digits: of the device certificate's key */
    const char *nonce;       /* NULL: the device sent none */
    int64_t issued_at;
    int64_t expires_at;
    int64_t timestamp_version; /* of the timestamp.json that the server serves now; 0: it has none yet */
    enum directive_action action;
    const char *deployment; /* an id; NULL unless action is install */
    bool optional;          /* with install: the device's user may postpone it */

    /* Only with install: as in the signed targets metadata. */
    const char *path;
    int64_t length;
    const char *sha256;
    const char *version;
    int64_t sequence;
    int64_t security_version;
};

/* Lower-case hex of even length within the limits. */
bool directive_nonce_check(const char *nonce, struct err *err) MUST_USE;

/* Appends the signed document. ERR_INTERNAL when the statement is not complete. Thread-safe with one key. */
bool directive_write(struct buf *out, const struct directive *directive, const struct key *key, struct err *err) MUST_USE;

/* What the device expects of an answer. */
struct directive_expect {
    const struct signers *signers; /* root's "x-pawl-directive" */
    const char *device;
    const char *spki_sha256;
    const char *nonce;    /* that the device sent; NULL: none */
    bool has_clock;       /* false: `now` is not asked, the nonce is then required */
    int64_t now;          /* UTC seconds */
    int64_t issued_floor; /* the highest `issued` accepted and persisted before; 0: none. Asked without a clock only: it is the time then */
};

/* Verifies and reads. ERR_SIGNATURE, ERR_THRESHOLD; ERR_DIRECTIVE: for another device or key; ERR_FREEZE: another nonce, issued in the
 * future, or without a clock below the floor; ERR_EXPIRED; ERR_FORMAT. The caller persists issued_at as the new floor, and holds timestamp_version
 * against its own. */
bool directive_verify(struct arena *arena, const void *data, size_t len, const struct directive_expect *expect, struct directive *ret_directive,
                      struct err *err) MUST_USE;

/* ERR_TARGET when the directive's release is not exactly what the verified targets metadata says. */
bool directive_check_release(const struct directive *directive, const struct release *release, struct err *err) MUST_USE;

const char *directive_action_name(enum directive_action action); /* "install", "none", "hold" */

#endif
