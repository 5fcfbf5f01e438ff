#include "agent/transport.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "certs/clockless.h"
#include "certs/request.h"
#include "common/text.h"

enum { PEM_MAX = 262144, URL_MAX = 2048, HEADERS_MAX = 65536 };

/* One request on its way. */
struct exchange {
    struct agent_response response;
    size_t head_bytes;
    bool begun, take;
    const struct agent_sink *sink; /* NULL: everything goes to body */
    struct buf *body;              /* may be NULL with a sink */
    struct err *err;               /* what a callback found wrong */
    bool failed;
};

struct agent_transport {
    CURL *curl;
    const struct agent_settings *settings;
    const volatile sig_atomic_t *stop;
    char error[CURL_ERROR_SIZE];
    struct agent_response last;
};

static bool fail_exchange(struct exchange *exchange) {
    exchange->failed = true;
    return false;
}

static bool begin_body(struct exchange *exchange) {
    if (exchange->begun)
        return true;
    exchange->begun = true;
    if (exchange->sink == NULL)
        return true;
    return exchange->sink->begin(exchange->sink->context, &exchange->response, &exchange->take, exchange->err) || fail_exchange(exchange);
}

static size_t on_header(char *line, size_t size, size_t count, void *context) {
    struct exchange *exchange = context;
    size_t len = size * count;
    exchange->head_bytes += len;
    if (exchange->head_bytes > HEADERS_MAX) {
        (void)err_set(exchange->err, ERR_TOO_LARGE, "the reply's head is longer than %d bytes", HEADERS_MAX);
        (void)fail_exchange(exchange);
        return 0;
    }
    if (!exchange->begun) /* what follows the body (trailers) says nothing to us */
        agent_response_line(&exchange->response, line, len);
    return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *context) {
    struct exchange *exchange = context;
    size_t len = size * count;
    if (!begin_body(exchange))
        return 0;
    if (exchange->take) {
        if (!exchange->sink->write(exchange->sink->context, data, len, exchange->err)) {
            (void)fail_exchange(exchange);
            return 0;
        }
        return len;
    }
    if (exchange->body == NULL)
        return len;
    struct err full;
    buf_append(exchange->body, data, len);
    if (buf_ok(exchange->body, "the reply", &full))
        return len;
    if (exchange->err->code == ERR_NONE) /* else the head has been judged, and that verdict stands */
        *exchange->err = full;
    (void)fail_exchange(exchange);
    return 0;
}

static int on_progress(void *context, UNUSED curl_off_t download_total, UNUSED curl_off_t download_now, UNUSED curl_off_t upload_total,
                       UNUSED curl_off_t upload_now) {
    const struct agent_transport *transport = context;
    return transport->stop != NULL && *transport->stop != 0;
}

static CURLcode forget_time(UNUSED CURL *curl, void *tls_context, UNUSED void *context) {
    struct err ignored;
    return certs_clockless(tls_context, &ignored) ? CURLE_OK : CURLE_ABORTED_BY_CALLBACK;
}

static struct curl_blob blob_of(const struct buf *buf) {
    return (struct curl_blob){.data = buf->data, .len = buf->len, .flags = CURL_BLOB_COPY};
}

/* What holds for every request. CURLOPT_CAPATH is emptied because Debian's libcurl is built with the system's folder of CAs. */
static bool set_up(struct agent_transport *transport, const struct buf *ca, const struct buf *certificate, const struct buf *key) {
    const struct agent_settings *settings = transport->settings;
    CURL *curl = transport->curl;
    const struct curl_blob ca_blob = blob_of(ca), certificate_blob = blob_of(certificate), key_blob = blob_of(key);
    curl_ssl_ctx_callback without_time = settings->clock == AGENT_CLOCK_NONE ? forget_time : NULL;
    const CURLcode codes[] = {
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transport->error),
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https"),
        curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https"),
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L),
        curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1),
        curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2),
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L),
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L),
        curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, without_time),
        curl_easy_setopt(curl, CURLOPT_CAINFO, NULL),
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL),
        curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &ca_blob),
        curl_easy_setopt(curl, CURLOPT_PINNEDPUBLICKEY, settings->server_public_key),
        curl_easy_setopt(curl, CURLOPT_SSLCERTTYPE, "PEM"),
        curl_easy_setopt(curl, CURLOPT_SSLCERT_BLOB, certificate->len > 0 ? &certificate_blob : NULL),
        curl_easy_setopt(curl, CURLOPT_SSLKEYTYPE, "PEM"),
        curl_easy_setopt(curl, CURLOPT_SSLKEY_BLOB, key->len > 0 ? &key_blob : NULL),
        curl_easy_setopt(curl, CURLOPT_PROXY, ""), /* not from the environment */
        curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, NULL),
        curl_easy_setopt(curl, CURLOPT_HTTP_CONTENT_DECODING, 0L),
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L),
        curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L),
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "pawl-agent/" PAWL_VERSION),
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)settings->connect_timeout_s),
        curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header),
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body),
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L),
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress),
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transport),
    };
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i] != CURLE_OK)
            return false;
    return true;
}

bool agent_transport_open(const struct agent_settings *settings, const volatile sig_atomic_t *stop, struct agent_transport **ret_transport,
                          struct err *err) {
    CLEANUP(buf_free) struct buf ca = BUF_INIT(PEM_MAX);
    CLEANUP(buf_wipe) struct buf certificate = BUF_INIT(PEM_MAX); /* may have the key beside it */
    CLEANUP(buf_wipe) struct buf key = BUF_INIT(PEM_MAX);
    bool shows = settings->certificate != NULL;
    if (!agent_settings_read("[server] ca", settings->server_ca, false, &ca, err) ||
        (shows && (!agent_settings_read("[device] certificate", settings->certificate, false, &certificate, err) ||
                   !agent_settings_read("[device] key", settings->key, true, &key, err) || !certs_request_matches(&certificate, &key, err))))
        return false;
    struct agent_transport *transport = calloc(1, sizeof(*transport));
    if (transport == NULL)
        return err_no_memory(err);
    transport->settings = settings;
    transport->stop = stop;
    transport->curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL;
    if (transport->curl == NULL || !set_up(transport, &ca, &certificate, &key)) {
        agent_transport_free(transport);
        return err_set(err, ERR_INTERNAL, "this libcurl lacks what a secure connection needs: %s", curl_version());
    }
    *ret_transport = transport;
    return true;
}

void agent_transport_free(struct agent_transport *transport) {
    if (transport == NULL)
        return;
    curl_easy_cleanup(transport->curl);
    free(transport);
}

static bool is_tls(CURLcode code) {
    static const CURLcode codes[] = {
        CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR,     CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
        CURLE_SSL_CACERT_BADFILE,       CURLE_SSL_ISSUER_ERROR,      CURLE_SSL_CRL_BADFILE, CURLE_SSL_CLIENTCERT,
        CURLE_SSL_PINNEDPUBKEYNOTMATCH, CURLE_SSL_INVALIDCERTSTATUS,
    };
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (code == codes[i])
            return true;
    return false;
}

/* What ended the request, when the callbacks did not. */
static bool explain(const struct agent_transport *transport, CURLcode code, bool download, struct err *err) {
    const char *text = transport->error[0] != '\0' ? transport->error : curl_easy_strerror(code);
    double connected = 0;
    (void)curl_easy_getinfo(transport->curl, CURLINFO_PRETRANSFER_TIME, &connected);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return err_set(err, ERR_BUSY, "stopped");
    if (is_tls(code) || strstr(text, "SSL routines") != NULL) /* with TLS 1.3 the server's refusal comes after the handshake */
        return err_set(err, ERR_TLS, "%s: %s", transport->settings->server_url, text);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return err_set(err, download && connected > 0 ? ERR_SLOW : ERR_TIMEOUT, "%s: %s", transport->settings->server_url, text);
    return err_set(err, code == CURLE_OUT_OF_MEMORY ? ERR_NO_MEMORY : ERR_NETWORK, "%s: %s", transport->settings->server_url, text);
}

static bool add_header(struct curl_slist **headers, const char *line) {
    struct curl_slist *longer = curl_slist_append(*headers, line);
    if (longer != NULL)
        *headers = longer;
    return longer != NULL;
}

static void free_headers(struct curl_slist **headers) {
    curl_slist_free_all(*headers);
}

static bool perform(struct agent_transport *transport, const char *path, struct curl_slist *headers, struct exchange *exchange) {
    CLEANUP(buf_free) struct buf url = BUF_INIT(URL_MAX);
    const char *base = transport->settings->server_url;
    size_t base_len = strlen(base) - (text_ends(base, "/") ? 1 : 0);
    buf_append(&url, base, base_len);
    buf_text(&url, path);
    if (!buf_ok(&url, "the URL", exchange->err))
        return false;
    CURL *curl = transport->curl;
    transport->error[0] = '\0';
    *exchange->err = (struct err){0};
    agent_response_init(&exchange->response);
    if (curl_easy_setopt(curl, CURLOPT_URL, url.data) != CURLE_OK || curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange) != CURLE_OK || curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange) != CURLE_OK)
        return err_no_memory(exchange->err);
    CURLcode code = curl_easy_perform(curl);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL); /* the list dies with the caller */
    transport->last = exchange->response;
    if (exchange->failed)
        return false;
    if (code != CURLE_OK)
        return explain(transport, code, exchange->sink != NULL, exchange->err);
    return begin_body(exchange); /* for a reply without a body */
}

/* Speed limits are the download's; a small request has one time for all of it. */
static void set_limits(struct agent_transport *transport, bool download) {
    const struct agent_settings *settings = transport->settings;
    (void)curl_easy_setopt(transport->curl, CURLOPT_TIMEOUT, download ? 0L : (long)settings->request_timeout_s);
    (void)curl_easy_setopt(transport->curl, CURLOPT_LOW_SPEED_LIMIT, download ? (long)settings->min_rate_bytes : 0L);
    (void)curl_easy_setopt(transport->curl, CURLOPT_LOW_SPEED_TIME, download ? (long)settings->min_rate_time_s : 0L);
    (void)curl_easy_setopt(transport->curl, CURLOPT_MAX_RECV_SPEED_LARGE, download ? (curl_off_t)settings->max_rate_bytes : (curl_off_t)0);
}

bool agent_transport_get(struct agent_transport *transport, const char *path, struct buf *body, struct agent_response *ret_response,
                         struct err *err) {
    CLEANUP(free_headers) struct curl_slist *headers = NULL;
    struct exchange exchange = {.body = body, .err = err};
    if (!add_header(&headers, "Accept-Encoding: identity"))
        return err_no_memory(err);
    set_limits(transport, false);
    (void)curl_easy_setopt(transport->curl, CURLOPT_HTTPGET, 1L);
    if (!perform(transport, path, headers, &exchange))
        return false;
    *ret_response = exchange.response;
    return true;
}

bool agent_transport_send(struct agent_transport *transport, const char *path, const char *content_type, const char *authorization,
                          const struct buf *text, struct buf *body, struct agent_response *ret_response, struct err *err) {
    CLEANUP(free_headers) struct curl_slist *headers = NULL;
    struct exchange exchange = {.body = body, .err = err};
    if (!add_header(&headers, content_type) || (authorization != NULL && !add_header(&headers, authorization)) ||
        !add_header(&headers, "Accept-Encoding: identity") || !add_header(&headers, "Expect:"))
        return err_no_memory(err);
    set_limits(transport, false);
    if (curl_easy_setopt(transport->curl, CURLOPT_POST, 1L) != CURLE_OK ||
        curl_easy_setopt(transport->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)text->len) != CURLE_OK ||
        curl_easy_setopt(transport->curl, CURLOPT_POSTFIELDS, text->data) != CURLE_OK)
        return err_no_memory(err);
    bool ok = perform(transport, path, headers, &exchange);
    (void)curl_easy_setopt(transport->curl, CURLOPT_POSTFIELDS, NULL);
    if (ok)
        *ret_response = exchange.response;
    return ok;
}

bool agent_transport_post(struct agent_transport *transport, const char *path, const struct buf *json, struct buf *body,
                          struct agent_response *ret_response, struct err *err) {
    return agent_transport_send(transport, path, "Content-Type: application/json", NULL, json, body, ret_response, err);
}

bool agent_transport_download(struct agent_transport *transport, const char *path, const char *range, const char *if_range,
                              const struct agent_sink *sink, struct buf *problem, struct agent_response *ret_response, struct err *err) {
    CLEANUP(free_headers) struct curl_slist *headers = NULL;
    CLEANUP(buf_free) struct buf condition = BUF_INIT(AGENT_ETAG_SIZE + 32);
    struct exchange exchange = {.sink = sink, .body = problem, .err = err};
    if (if_range != NULL)
        buf_printf(&condition, "If-Range: %s", if_range);
    if (!buf_ok(&condition, "If-Range", err))
        return false;
    if (!add_header(&headers, "Accept-Encoding: identity") || (if_range != NULL && !add_header(&headers, condition.data)))
        return err_no_memory(err);
    set_limits(transport, true);
    (void)curl_easy_setopt(transport->curl, CURLOPT_HTTPGET, 1L);
    if (curl_easy_setopt(transport->curl, CURLOPT_RANGE, range) != CURLE_OK)
        return err_no_memory(err);
    bool ok = perform(transport, path, headers, &exchange);
    (void)curl_easy_setopt(transport->curl, CURLOPT_RANGE, NULL);
    if (ok)
        *ret_response = exchange.response;
    return ok;
}

const struct agent_response *agent_transport_last(const struct agent_transport *transport) {
    return &transport->last;
}

void agent_transport_escape(struct buf *out, const char *text) {
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text != '\0'; text++)
        if (strchr(unreserved, *text) != NULL)
            buf_byte(out, *text);
        else
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
}
