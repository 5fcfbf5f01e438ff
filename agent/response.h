/* What a reply's head says, read strictly; and whether it is one that a download may go on with. Pure. */
#ifndef PAWL_AGENT_RESPONSE_H
#define PAWL_AGENT_RESPONSE_H

#include "common/err.h"

enum { AGENT_ETAG_SIZE = 160 };

struct agent_response {
    long status;
    int64_t content_length;                       /* −1: not said */
    char etag[AGENT_ETAG_SIZE];                   /* with its quotes; empty: none, weak, or too long to be of use */
    bool has_range;                               /* a Content-Range that could be read */
    int64_t range_first, range_last, range_total; /* "bytes first-last/total"; first and last are −1 in the form of a 416; total −1: an asterisk */
    int64_t poll_after_s;                         /* 0: not said */
    int64_t retry_after_s;                        /* 0: not said, or said as a date */
    bool problem;                                 /* the body is application/problem+json */
};

/* Nothing said yet. */
void agent_response_init(struct agent_response *response);

/* One line of the head, with or without its line end: a status line begins anew, an unknown field is ignored, a known one that cannot be read counts
 * as not said. */
void agent_response_line(struct agent_response *response, const char *line, size_t len);

/* "bytes 0-99/200", "bytes 0-99/STAR" or "bytes STAR/200", where STAR is an asterisk. False for anything else, first > last, or last ≥ total. */
bool agent_response_range(const char *text, struct agent_response *ret_response);

/* What is on disk of an image, and what is signed about it. */
struct agent_have {
    int64_t have_bytes;   /* length of the partial file; 0: none */
    int64_t signed_bytes; /* length that is signed */
    const char *etag;     /* of the partial file; NULL or empty: unknown */
};

/* Was a range asked for? Only with a strong tag, and with bytes on both sides of the cut. */
bool agent_response_may_resume(const struct agent_have *have) MUST_USE;

enum agent_body {
    AGENT_BODY_REFUSE = 0, /* *err says why; the partial file stays */
    AGENT_BODY_APPEND,     /* the rest of the partial file */
    AGENT_BODY_WHOLE,      /* the whole image: throw the partial file away first */
    AGENT_BODY_ANEW,       /* throw the partial file away and ask again without a range */
};

/* The decision on a reply to a download, as one table. Codes: ERR_LENGTH (another length than signed), ERR_RANGE (not the range asked for), ERR_BUSY
 * (try later), ERR_NOT_ENTITLED, ERR_DOWNGRADE, ERR_NOT_FOUND, ERR_NETWORK. */
enum agent_body agent_response_decide(const struct agent_response *response, const struct agent_have *have, struct err *err);

#endif
