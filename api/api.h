/* What the server means by a request: the route table, the call, the reply. The wire (server/) fills calls in and sends replies out. */
#ifndef PAWL_API_API_H
#define PAWL_API_API_H

#include "certs/lineage.h"
#include "common/arena.h"
#include "common/buf.h"
#include "db/db.h"
#include "db/registry.h"

/* Which listeners serve a route; a mask. */
enum api_listener { API_DEVICE = 1, API_ENROL = 2, API_ADMIN = 4, API_TOKEN = 8 };

/* Who may call it. The zero value admits nobody. */
enum api_role {
    API_NOBODY = 0,
    API_ANYONE,     /* health, and nothing that tells about the fleet */
    API_ANY_DEVICE, /* a verified device certificate whose device is not revoked: /whoami for pending ones */
    API_ACTIVE,     /* a verified device certificate of an active device */
    API_OPERATOR,   /* a bearer token (or an administrator's certificate) that has the row's scope */
};

enum api_body {
    API_NO_BODY,
    API_JSON,   /* collected up to the row's limit before the handler runs */
    API_BYTES,  /* the same of anything else; the handler looks at Content-Type */
    API_STREAM, /* the row's stream operations see it piece by piece; Content-Length is required */
};

/* Which thread runs the handler. */
enum api_run {
    API_READ,  /* on the worker, with its read connection; call->tx is NULL */
    API_WRITE, /* on the writer thread, inside a transaction; the reply leaves after COMMIT */
};

enum api_policy {
    API_IDEMPOTENT = 1, /* honours Idempotency-Key (every POST of /api/v1) */
    API_IF_MATCH = 2,   /* 428 without If-Match; the handler compares by api_if_match() */
    API_BY_PRODUCT =
        4,        /* a token whose scope is limited to products is let in: the handler asks api_allow() for each object. Without it, it is not. */
    API_DDI = 8,  /* problems carry a "message", as existing clients want them */
    API_CUT = 16, /* an image to a client that would install an error's text: a refusal of 429 or from 500 up is a cut connection instead */
    API_BY_ADDRESS = 32, /* requests are counted by address: 429 above [enrolment] requests */
};

enum { API_MAX_PARAMS = 16, API_MAX_VARS = 4, API_MAX_HEADERS = 12, API_REQUEST_ID_SIZE = 33 };

struct api_call;
struct api_env;

/* A streamed body. begin runs at the headers, before a byte is read: refuse there. write sees each piece on the worker thread. discard is called
 * instead of the handler when the body ended early or anything failed after begin. */
struct api_stream {
    bool (*begin)(struct api_call *call, struct err *err);
    bool (*write)(struct api_call *call, const void *data, size_t len, struct err *err);
    void (*discard)(struct api_call *call);
};

/* One row of the route table. Authorisation, method, limits are decided from the row, in one place (server/http.c, server/auth.c). */
struct api_route {
    unsigned listeners;
    const char *method;  /* a GET row also answers HEAD */
    const char *pattern; /* "/api/v1/devices/{id}"; "{path...}" as the last segment takes the rest */
    enum api_role role;
    const char *scope; /* for API_OPERATOR: "device:read"; "" is any valid token */
    enum api_body body;
    size_t body_limit; /* bytes; 413 above */
    enum api_run run;
    unsigned policy;
    bool (*handler)(struct api_call *call, struct err *err);
    const struct api_stream *stream;
    const char *query; /* the parameters that it knows, with spaces between; others are ERR_INVALID. NULL: unknown ones are passed over */
};

/* "name=value" pairs: path variables, query parameters (percent-decoded, UTF-8, no control characters), request headers. */
struct api_param {
    const char *name;
    const char *value;
};

/* The verified identity of a connection, a device's or an administrator's, from the certificate or the session record alone. Bound at connection
 * start. */
struct api_identity {
    char id[DB_DEVICE_ID_SIZE];
    uint8_t spki_sha256[32];
    int64_t not_after;
    bool factory;                 /* by a factory's CA: enrolment listener only */
    bool expired;                 /* it or a CA above it: enrolment listener only */
    struct certs_lineage lineage; /* the CAs behind it */
};

/* Who an operator is. */
struct api_operator {
    const struct api_identity *certificate; /* the connection's, verified; NULL: none. A bearer token that is sent goes before it */
    char actor[80];                         /* "token:ab12cd" or "cert:alice", for the audit */
    const struct db_token *token;           /* what may be done; a certificate's has no id */
};

/* A body served from memory that outlives the call (an mmap of an immutable image). */
struct api_blob {
    const void *data;
    size_t len;
    void (*release)(void *context); /* called once when the reply is sent or dropped; any worker thread */
    void *context;
    int64_t rollout; /* among whose downloads it is counted; 0: none's */
};

/* What a piece of a pulled body was. */
enum api_pull_step {
    API_PULL_FAILED = 0, /* *err says why: the connection is cut, so that nobody takes what came for the whole */
    API_PULL_MORE,       /* ask again when this piece is on its way; it may be empty */
    API_PULL_WAIT,       /* nothing more for now: ask again after wait_ms, or when there is news */
    API_PULL_END,        /* this was the last */
};

enum { API_PULL_PIECE = 64 * 1024, API_PULL_MAX = 1024 * 1024 };

/* A body made piece by piece while it is sent, chunked: long lists, the event stream. Replies of API_READ rows for GET alone. A client that does not
 * read is not asked for, so nothing grows with it. */
struct api_pull {
    /* Appends about API_PULL_PIECE bytes (API_PULL_MAX is the ceiling) to out. The worker's thread; call->db is its read connection; call->arena is
     * emptied after each piece. NULL: the reply is not of this kind. */
    enum api_pull_step (*next)(struct api_call *call, void *state, struct buf *out, struct err *err);
    void (*release)(void *state); /* may be NULL; called once, when the reply is sent or dropped */
    void *state;                  /* where the handler puts it: allocated in the arena of its own call it lives as long as the reply */
    int64_t wait_ms;              /* set by next() before it returns API_PULL_WAIT */
};

/* Lines of an import that cannot be. */
struct api_problem_row {
    int64_t line;      /* from 1 */
    const char *field; /* "": the line as a whole */
    const char *detail;
};

struct api_problem_rows {
    const struct api_problem_row *items;
    size_t count;
};

struct api_reply {
    int status; /* 0: 200 with a body, 204 without */
    const char *content_type;
    struct api_param headers[API_MAX_HEADERS];
    size_t header_count;
    const void *body; /* in the arena */
    size_t body_len;
    struct api_blob blob; /* instead of body when blob.release is set */
    struct api_pull pull; /* instead of body when pull.next is set */
    uint64_t head_length; /* HEAD: the Content-Length that GET would have; used when head_length_set */
    bool head_length_set;
    bool cut;                /* the connection ends here, without a byte of this reply */
    const char *reason;      /* for the log and the metrics: why nothing was offered, which problem; static or arena */
    const void *stored_body; /* what an Idempotency-Key replays, when the body held a secret; in the arena */
    size_t stored_body_len;
    struct api_problem_rows *problem_rows; /* with an error: what exactly is at fault, instead of its one field; in the arena */
};

struct api_call {
    const struct api_env *env;
    const struct api_route *route;
    struct arena *arena;
    enum api_listener listener;
    int64_t now; /* UTC seconds, one reading a request; of a pulled body one a piece */
    char request_id[API_REQUEST_ID_SIZE];
    uint32_t chance; /* another number in each call: spreads what clients would do at one time; no secret */
    const char *client_address;

    const char *method; /* "GET" for HEAD too; see .head */
    bool head;
    const char *path; /* raw, as sent, without the query */
    struct api_param vars[API_MAX_VARS];
    size_t var_count;
    struct api_param query[API_MAX_PARAMS];
    size_t query_count;
    const struct api_param *headers;
    size_t header_count;
    const void *body;
    size_t body_len;
    uint64_t content_length;
    void *stream_state;           /* of the row's stream operations */
    const uint8_t *stream_sha256; /* of the whole streamed body, set by its operations when an Idempotency-Key is to stand for it; NULL: not known */
    void *prepared;               /* of a handler that defers: what it found on the worker, in the arena; NULL before */

    struct api_identity identity;  /* device and enrolment listener: by the certificate; id empty: none was shown */
    struct db_device_hot device;   /* role API_ANY_DEVICE and API_ACTIVE: the registry entry, looked up for this request */
    struct api_operator operator_; /* administration listener, role API_OPERATOR */

    struct db_conn *db; /* the worker's read connection, or the writer's transaction */
    bool writing;       /* true on the writer thread */

    /* A handler of an API_READ row that finds it must write sets this, changes nothing and returns true: it runs again with writing = true. */
    bool defer_to_writer;

    /* Set on the writer by a handler that has done a part: it is called again in another turn, behind whoever waits, and makes its reply at the end.
     * What a turn wrote is committed. */
    bool again;

    /* Its credentials refuse it, which the writer is to note: nothing else about it was looked at. */
    bool unchecked;

    /* Set on the writer by a handler that returns false: the reply is the problem, and what was written (an event about it) is committed. */
    bool keep_writes;

    struct api_reply reply;
};

extern const struct api_route api_routes[];
extern const size_t api_route_count;

/* NULL when no row matches. *ret_allow (arena) is set to the Allow list when the path matches with other methods only. Fills vars. */
const struct api_route *api_route_find(struct api_call *call, const char **ret_allow);

const char *api_header(const struct api_call *call, const char *name); /* case-insensitive; NULL: absent */
const char *api_var(const struct api_call *call, const char *name);    /* never NULL for a name of the row's pattern */
const char *api_query(const struct api_call *call, const char *name);  /* NULL: absent */

/* Splits and decodes the raw query string into call->query. known: as in the row. ERR_INVALID for bad escapes, names that are not known or come
 * twice, too many. */
bool api_query_parse(struct api_call *call, const char *raw, const char *known, struct err *err) MUST_USE;

#endif
