/* The gate: the strict reader of HTTP/1.1 request heads that stands before the HTTP library. Pure: bytes in, verdicts out, no I/O, no clock.
 *
 * One grammar only (RFC 9112 §3-§5 without its tolerances): token SP origin-form SP "HTTP/1.1" CRLF, then "name:" OWS value OWS CRLF. What two
 * readers could understand differently is refused, never repaired; after a refusal the connection ends. */
#ifndef PAWL_SERVER_GATE_H
#define PAWL_SERVER_GATE_H

#include "common/err.h"

enum { GATE_MAX_HEAD = 8192, GATE_MAX_FIELDS = 64, GATE_MAX_QUERY_PARTS = 32, GATE_REPLY_SIZE = 768 };

enum gate_verdict {
    GATE_REFUSED = 0, /* answer with gate_reply() and close */
    GATE_MORE,        /* good so far; call again when there are more bytes */
    GATE_COMPLETE,    /* head_len bytes are one request head, content_length bytes of body follow */
};

/* Why a request was refused; the index into one table of status, problem type and detail. */
enum gate_refusal {
    GATE_NOTHING = 0,
    GATE_CONTROL_BYTE,      /* NUL, DEL, or a control byte that is not the CRLF of a line end (HTAB is fine inside a value) */
    GATE_BARE_CR,           /* CR without LF */
    GATE_BARE_LF,           /* LF without CR */
    GATE_HIGH_BYTE,         /* a byte above 0x7e */
    GATE_REQUEST_LINE,      /* not "token SP target SP version" */
    GATE_METHOD,            /* the method is longer than 16 bytes */
    GATE_TARGET,            /* does not begin with "/" (absolute, authority and asterisk forms), or has a character no target has */
    GATE_TARGET_ESCAPE,     /* %2f, %5c, %00, %2e, a bad escape, a dot segment */
    GATE_QUERY,             /* more than GATE_MAX_QUERY_PARTS parts */
    GATE_VERSION,           /* not HTTP/1.1 */
    GATE_FIELD_NAME,        /* not a token, or space before the colon */
    GATE_FIELD_FOLDED,      /* a line that begins with space or tab */
    GATE_FIELD_TWICE,       /* Host, Content-Length and the like, given twice */
    GATE_HOST,              /* missing or not a host */
    GATE_LENGTH,            /* Content-Length is not 1 to 18 digits */
    GATE_TRANSFER_ENCODING, /* any */
    GATE_EXPECT,            /* other than 100-continue */
    GATE_HEAD_TOO_LARGE,    /* over GATE_MAX_HEAD */
    GATE_TOO_MANY_FIELDS,   /* over GATE_MAX_FIELDS */
    GATE_HEAD_TIMEOUT,      /* these two are found by the front, and answered here */
    GATE_OVERLOADED,
    GATE_REFUSAL_COUNT
};

/* The reader's state between calls; all zero before the first byte of each request. */
struct gate {
    size_t scanned;    /* bytes looked at */
    size_t line_start; /* of the line under way */
    unsigned lines;    /* complete ones */
    unsigned seen;     /* bit i: row i of the table of fields that may stand once */
    enum gate_refusal refusal;
    size_t head_len;         /* after GATE_COMPLETE */
    uint64_t content_length; /* after GATE_COMPLETE; 0 without the field */
    uint64_t body_left;      /* counted down by gate_body() */
    bool expects_continue;
    bool closes; /* "Connection: close" */
};

/* data: the head from its first byte, all that has come so far (the bytes seen before must be the same); what lies behind a complete head is not
 * looked at. Looks at each byte once over all calls; refuses at the first byte that no good request could have there. */
enum gate_verdict gate_scan(struct gate *gate, const char *data, size_t len) MUST_USE;

/* Of len bytes at hand, how many are body; counts them. */
size_t gate_body(struct gate *gate, size_t len) MUST_USE;

/* Forgets the request; the next one begins. */
void gate_reset(struct gate *gate);

/* The whole answer to a refusal, head and problem+json, "Connection: close"; NUL-terminated, returns its length. now: UTC seconds, for Date. */
size_t gate_reply(enum gate_refusal refusal, const char *request_id, int64_t now, char ret_reply[GATE_REPLY_SIZE]);

/* For logs and metrics: "bare-lf". Never NULL. */
const char *gate_refusal_name(enum gate_refusal refusal);
int gate_refusal_status(enum gate_refusal refusal);

#endif
