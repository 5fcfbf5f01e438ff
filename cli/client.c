#include "cli/client.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/local.h"
#include "cli/problem.h"
#include "cli/progress.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/random.h"
#include "common/text.h"

enum { TRIES = 4, BACKOFF_MS = 500, RETRY_AFTER_MAX_S = 30, CONNECT_TIMEOUT_S = 10, STALL_S = 60, TOKEN_MAX = 256, KEY_HEX_BYTES = 16 };

struct cli_client {
    CURL *easy;
    struct buf authorization; /* "Authorization: Bearer …"; wiped */
    char trouble[CURL_ERROR_SIZE];
};

/* One try of one request. */
struct exchange {
    const struct cli_request *request;
    struct buf body;
    char etag[CLI_ETAG_SIZE];
    int64_t retry_after_s;
    int upload_fd;
    int64_t upload_bytes, sent_bytes;
    struct cli_progress progress;
    struct curl_slist *headers;
    CURL *easy;
    bool sunk; /* the sink has seen something */
};

static size_t take_body(char *data, size_t size, size_t count, void *context) {
    struct exchange *exchange = context;
    const struct cli_request *request = exchange->request;
    long status = 0;
    if (request->sink != NULL && curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status >= 200 && status < 300) {
        exchange->sunk = true;
        return request->sink(request->sink_context, data, size * count) ? size * count : 0;
    }
    buf_append(&exchange->body, data, size * count);
    return exchange->body.failed == ERR_NONE ? size * count : 0;
}

/* The value behind "name:", trimmed, when the line is that header. */
static bool header_value(const char *line, size_t len, const char *name, char *ret_value, size_t size) {
    size_t name_len = strlen(name);
    if (len <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len) != 0)
        return false;
    const char *from = line + name_len + 1;
    const char *end = line + len;
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    while (end > from && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
        end--;
    if ((size_t)(end - from) >= size)
        return false;
    memcpy(ret_value, from, (size_t)(end - from));
    ret_value[end - from] = '\0';
    return true;
}

static size_t take_header(char *line, size_t size, size_t count, void *context) {
    struct exchange *exchange = context;
    char seconds[16];
    header_value(line, size * count, "ETag", exchange->etag, sizeof(exchange->etag));
    if (header_value(line, size * count, "Retry-After", seconds, sizeof(seconds)))
        text_to_int(seconds, 0, INT32_MAX, &exchange->retry_after_s);
    return size * count;
}

static size_t give_body(char *data, size_t size, size_t count, void *context) {
    struct exchange *exchange = context;
    ssize_t got = read(exchange->upload_fd, data, size * count);
    if (got < 0)
        return CURL_READFUNC_ABORT;
    exchange->sent_bytes += got;
    cli_progress_update(&exchange->progress, exchange->sent_bytes, exchange->upload_bytes);
    return (size_t)got;
}

static int seek_body(void *context, curl_off_t offset, int origin) {
    struct exchange *exchange = context;
    if (origin != SEEK_SET || lseek(exchange->upload_fd, offset, SEEK_SET) < 0)
        return CURL_SEEKFUNC_FAIL;
    exchange->sent_bytes = offset;
    return CURL_SEEKFUNC_OK;
}

/* pawl_<id>_<43 base64url> on one line. */
static bool read_token(struct cli *cli, struct buf *authorization, struct err *err) {
    CLEANUP(buf_wipe) struct buf token = BUF_INIT(TOKEN_MAX);
    if (!file_read_secret(cli->profile.token_file, &token, err)) {
        err->code = err->code == ERR_NOT_FOUND ? ERR_CONFIG : err->code;
        return err_prefix(err, "token file");
    }
    while (token.len > 0 && (token.data[token.len - 1] == '\n' || token.data[token.len - 1] == '\r'))
        token.data[--token.len] = '\0';
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    if (token.len == 0 || !text_starts(token.data, "pawl_") || strspn(token.data, allowed) != token.len)
        return err_set(err, ERR_CONFIG, "token file %s does not hold one token (pawl_<id>_<secret>)", cli->profile.token_file);
    buf_init(authorization, TOKEN_MAX + 32);
    buf_printf(authorization, "Authorization: Bearer %s", token.data);
    return buf_ok(authorization, "token", err);
}

static bool require_settings(struct cli *cli, struct err *err) {
    const struct {
        const char *value, *option;
    } needed[] = {{cli->profile.server, "server"}, {cli->profile.ca, "ca"}, {cli->profile.token_file, "token-file"}};
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (needed[i].value == NULL)
            return err_set(err, ERR_USAGE, "no --%s given, and profile '%s' does not say it", needed[i].option, cli->profile.name);
    if (access(cli->profile.ca, R_OK) != 0) {
        err_errno(err, "authority file %s", cli->profile.ca);
        err->code = ERR_CONFIG;
        return false;
    }
    return true;
}

static bool open_client(struct cli *cli, struct err *err) {
    if (cli->client != NULL)
        return true;
    if (!require_settings(cli, err))
        return false;
    cli->client = calloc(1, sizeof(*cli->client)); /* not in the arena, which cli_aside() takes away for a while */
    if (cli->client == NULL)
        return err_no_memory(err);
    cli->client->easy = curl_easy_init();
    if (cli->client->easy != NULL && read_token(cli, &cli->client->authorization, err))
        return true;
    bool token = cli->client->easy != NULL;
    cli_client_close(cli);
    return token ? false : err_no_memory(err);
}

void cli_client_close(struct cli *cli) {
    if (cli->client == NULL)
        return;
    curl_easy_cleanup(cli->client->easy);
    buf_wipe(&cli->client->authorization);
    free(cli->client);
    cli->client = NULL;
}

/* What every request has: this server only, over TLS with the pinned authority, no redirect, no proxy. */
static void set_up_transport(struct cli *cli, CURL *easy) {
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, cli->client->trouble);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_CAINFO, cli->profile.ca);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "pawl/" PAWL_VERSION);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
}

static bool add_header(struct exchange *exchange, const char *line) {
    struct curl_slist *longer = curl_slist_append(exchange->headers, line);
    if (longer == NULL)
        return false;
    exchange->headers = longer;
    return true;
}

static bool add_headers(struct cli *cli, struct exchange *exchange, const char *idempotency_key) {
    const struct cli_request *request = exchange->request;
    const char *accept = arena_printf(&cli->arena, "Accept: %s", request->accept != NULL ? request->accept : "application/json");
    bool added = add_header(exchange, cli->client->authorization.data) && accept != NULL && add_header(exchange, accept);
    if (request->upload_path != NULL) {
        const char *type = request->upload_type != NULL ? request->upload_type : "application/octet-stream";
        const char *line = arena_printf(&cli->arena, "Content-Type: %s", type);
        added = added && line != NULL && add_header(exchange, line);
    } else
        added = added && add_header(exchange, request->body != NULL ? "Content-Type: application/json" : "Content-Type:");
    if (request->if_match != NULL) {
        const char *line = arena_printf(&cli->arena, "If-Match: %s", request->if_match);
        added = added && line != NULL && add_header(exchange, line);
    }
    if (request->last_event != NULL) {
        const char *line = arena_printf(&cli->arena, "Last-Event-ID: %s", request->last_event);
        added = added && line != NULL && add_header(exchange, line);
    }
    if (idempotency_key != NULL) {
        const char *line = arena_printf(&cli->arena, "Idempotency-Key: %s", idempotency_key);
        added = added && line != NULL && add_header(exchange, line);
    }
    return added;
}

static bool open_upload(struct cli *cli, struct exchange *exchange, struct err *err) {
    struct stat info;
    if (!cli_local_open(exchange->request->upload_path, &exchange->upload_fd, err))
        return false;
    if (fstat(exchange->upload_fd, &info) != 0)
        return err_errno(err, "%s", exchange->request->upload_path);
    exchange->upload_bytes = info.st_size;
    cli_progress_begin(&exchange->progress, cli->can_show_progress ? cli->notes : NULL, "uploading");
    return true;
}

static void set_up_method(struct exchange *exchange, CURL *easy) {
    const struct cli_request *request = exchange->request;
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    if (request->upload_path != NULL) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)exchange->upload_bytes);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(easy, CURLOPT_READDATA, exchange);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, seek_body);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, exchange);
        curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
        return;
    }
    if (request->body != NULL || text_equal(request->method, "POST")) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L); /* for the body; the method is the one named below */
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body == NULL ? "" : request->body);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

/* Anything else is ERR_NETWORK. */
static const struct {
    CURLcode result;
    enum err_code code;
} curl_codes[] = {
    {CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT},     {CURLE_SSL_CONNECT_ERROR, ERR_TLS},   {CURLE_PEER_FAILED_VERIFICATION, ERR_TLS},
    {CURLE_SSL_CACERT_BADFILE, ERR_CONFIG},      {CURLE_SSL_CERTPROBLEM, ERR_TLS},     {CURLE_SSL_CIPHER, ERR_TLS},
    {CURLE_SSL_ENGINE_INITFAILED, ERR_INTERNAL}, {CURLE_OUT_OF_MEMORY, ERR_NO_MEMORY}, {CURLE_URL_MALFORMAT, ERR_USAGE},
    {CURLE_ABORTED_BY_CALLBACK, ERR_IO},         {CURLE_WRITE_ERROR, ERR_IO},          {CURLE_UNSUPPORTED_PROTOCOL, ERR_USAGE},
};

static bool transport_failed(struct cli *cli, CURLcode result, const struct exchange *exchange, struct err *err) {
    if (exchange->body.failed != ERR_NONE)
        return buf_ok(&exchange->body, "reply of the server", err);
    enum err_code code = ERR_NETWORK;
    for (size_t i = 0; i < ARRAY_LEN(curl_codes); i++)
        if (curl_codes[i].result == result)
            code = curl_codes[i].code;
    const char *trouble = cli->client->trouble[0] != '\0' ? cli->client->trouble : curl_easy_strerror(result);
    return err_set(err, code, "%s: %s", cli->profile.server, trouble);
}

static void close_exchange(struct exchange *exchange) {
    for (const struct curl_slist *header = exchange->headers; header != NULL; header = header->next)
        explicit_bzero(header->data, strlen(header->data)); /* the token is in one */
    curl_slist_free_all(exchange->headers);
    buf_free(&exchange->body);
    file_close(&exchange->upload_fd);
}

/* One try. *ret_again: it is worth another one. The reply's body is copied into the run's arena. */
static bool attempt(struct cli *cli, const struct cli_request *request, const char *idempotency_key, struct cli_reply *ret_reply, bool *ret_again,
                    int64_t *ret_wait_s, struct err *err) {
    CURL *easy = cli->client->easy;
    CLEANUP(close_exchange) struct exchange exchange = {.request = request, .upload_fd = -1, .easy = easy};
    buf_init(&exchange.body, request->max_reply_bytes != 0 ? request->max_reply_bytes : CLI_REPLY_MAX_BYTES);
    const char *url = arena_printf(&cli->arena, "%s%s", cli->profile.server, request->path);
    if (url == NULL || !add_headers(cli, &exchange, idempotency_key))
        return err_no_memory(err);
    if (request->upload_path != NULL && !open_upload(cli, &exchange, err))
        return false;
    set_up_transport(cli, easy);
    set_up_method(&exchange, easy);
    if (request->patience_s > 0)
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, request->patience_s);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    cli->client->trouble[0] = '\0';
    CURLcode result = curl_easy_perform(easy);
    if (exchange.upload_bytes > 0)
        cli_progress_end(&exchange.progress, exchange.sent_bytes, exchange.upload_bytes);
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    bool answered = result == CURLE_OK || (result == CURLE_SEND_ERROR && status >= 400); /* refused before the whole body was sent */
    if (!answered) {
        transport_failed(cli, result, &exchange, err);
        *ret_again = !exchange.sunk && (err->code == ERR_NETWORK || err->code == ERR_TIMEOUT);
        return false;
    }
    const char *body = exchange.body.data == NULL ? "" : exchange.body.data;
    bool wanted = (status >= 200 && status < 300) || (status == 404 && request->missing_ok);
    if (!wanted) {
        bool busy = status == 429 || status == 502 || status == 503 || status == 504;
        bool soon = exchange.retry_after_s <= RETRY_AFTER_MAX_S;
        *ret_again = busy && soon;
        *ret_wait_s = exchange.retry_after_s;
        (void)cli_problem_set(err, status, body, exchange.body.len);
        return busy && !soon ? err_prefix(err, "again in %lld s", (long long)exchange.retry_after_s) : false;
    }
    *ret_reply = (struct cli_reply){.status = status, .body = arena_strndup(&cli->arena, body, exchange.body.len), .len = exchange.body.len};
    memcpy(ret_reply->etag, exchange.etag, sizeof(ret_reply->etag));
    return ret_reply->body != NULL || err_no_memory(err);
}

bool cli_client_call(struct cli *cli, const struct cli_request *request, struct cli_reply *ret_reply, struct err *err) {
    if (request->path == NULL)
        return err_no_memory(err);
    if (!open_client(cli, err))
        return false;
    bool posts = text_equal(request->method, "POST");
    bool safe = posts || text_equal(request->method, "GET") || request->upload_path != NULL;
    char key[2 * KEY_HEX_BYTES + 1];
    random_hex(key, KEY_HEX_BYTES); /* the same for every try: the server does the work once */
    for (int64_t try = 1;; try++) {
        bool again = false;
        int64_t wait_s = 0;
        if (attempt(cli, request, posts ? key : NULL, ret_reply, &again, &wait_s, err))
            return true;
        if (!again || !safe || try == TRIES)
            return false;
        int64_t wait_ms = wait_s > 0 ? wait_s * 1000 : (BACKOFF_MS << (try - 1)) + (int64_t)random_below(BACKOFF_MS);
        if (cli->can_show_progress)
            cli_note(cli, "%s; trying again", err->text);
        clock_sleep_ms(wait_ms);
    }
}

bool cli_client_get(struct cli *cli, const char *path, struct cli_reply *ret_reply, struct err *err) {
    const struct cli_request request = {.method = "GET", .path = path};
    return cli_client_call(cli, &request, ret_reply, err);
}

/* NULL: none. */
static bool set_body(struct cli_request *request, const struct buf *body, struct err *err) {
    if (body == NULL)
        return true;
    request->body = body->data;
    request->body_len = body->len;
    return buf_ok(body, "request body", err);
}

bool cli_client_post(struct cli *cli, const char *path, const struct buf *body, struct cli_reply *ret_reply, struct err *err) {
    struct cli_request request = {.method = "POST", .path = path};
    return set_body(&request, body, err) && cli_client_call(cli, &request, ret_reply, err);
}

bool cli_client_update(struct cli *cli, const char *method, const char *path, const struct buf *body, struct cli_reply *ret_reply, struct err *err) {
    struct cli_reply before;
    if (!cli_client_get(cli, path, &before, err))
        return false;
    return cli_client_replace(cli, method, path, &before, body, ret_reply, err);
}

bool cli_client_replace(struct cli *cli, const char *method, const char *path, const struct cli_reply *before, const struct buf *body,
                        struct cli_reply *ret_reply, struct err *err) {
    if (path != NULL && before->etag[0] == '\0')
        return err_set(err, ERR_INVALID, "reply of the server: no ETag, so a change of %s cannot be guarded", path);
    struct cli_request request = {.method = method, .path = path, .if_match = before->etag};
    return set_body(&request, body, err) && cli_client_call(cli, &request, ret_reply, err);
}

static void encode(struct buf *out, const char *text, const char *plain) {
    for (; *text != '\0'; text++)
        if (strchr(plain, *text) != NULL)
            buf_byte(out, *text);
        else
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
}

#define UNRESERVED "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"

void cli_client_encode_segment(struct buf *out, const char *text) {
    encode(out, text, UNRESERVED ":+");
}

void cli_client_encode_value(struct buf *out, const char *text) {
    encode(out, text, UNRESERVED ":");
}
