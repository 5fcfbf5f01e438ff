#include "server/webhook.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/text.h"

enum { BODY_MAX = 1 << 20, REPLY_MAX = 64 * 1024, CONNECT_TIMEOUT_MS = 5000, KEPT_CONNECTIONS = 16, HEADER_MAX = 1024 };

struct slot {
    struct webhook_sender *sender;
    CURL *easy;
    bool busy;
    void *context;
    struct buf body;
    struct curl_slist *headers;
    size_t taken;                    /* bytes of the answer, head and body */
    char refused[NETWORK_TEXT_SIZE]; /* the address that is not allowed; "": none */
    char trouble[CURL_ERROR_SIZE];
};

struct webhook_sender {
    struct webhook_settings settings;
    CURLM *multi;
    size_t busy;
    struct slot slots[WEBHOOK_SLOTS];
};

bool webhook_global_start(struct err *err) {
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK || err_set(err, ERR_INTERNAL, "libcurl does not start");
}

void webhook_global_stop(void) {
    curl_global_cleanup();
}

/* ---- what libcurl asks ---- */

/* For every address that a name has, before a packet leaves for it. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    struct slot *slot = context;
    struct network_address target;
    if (purpose != CURLSOCKTYPE_IPCXN || !network_address_of(&address->addr, address->addrlen, &target))
        return CURL_SOCKET_BAD;
    if (!network_is_public(&target) && !network_list_has(slot->sender->settings.allowed, &target)) {
        network_address_text(&target, slot->refused);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* What a receiver answers beside its status is of no interest, and has a ceiling. */
static size_t take(char *data, size_t size, size_t count, void *context) {
    struct slot *slot = context;
    (void)data;
    slot->taken += size * count;
    return slot->taken <= REPLY_MAX ? size * count : 0;
}

/* ---- one exchange ---- */

static bool add_header(struct slot *slot, const char *name, const char *value) {
    char line[HEADER_MAX];
    int len = snprintf(line, sizeof(line), "%s: %s", name, value);
    struct curl_slist *longer = len > 0 && (size_t)len < sizeof(line) ? curl_slist_append(slot->headers, line) : NULL;
    if (longer == NULL)
        return false;
    slot->headers = longer;
    return true;
}

static bool add_headers(struct slot *slot, const struct webhook_message *message) {
    char timestamp[24];
    snprintf(timestamp, sizeof(timestamp), "%lld", (long long)message->timestamp);
    struct curl_slist *longer = curl_slist_append(slot->headers, "Expect:"); /* none: the body is small */
    if (longer == NULL)
        return false;
    slot->headers = longer;
    return add_header(slot, "Content-Type", "application/json") && add_header(slot, "webhook-id", message->id) &&
           add_header(slot, "webhook-timestamp", timestamp) && add_header(slot, "webhook-signature", message->signatures);
}

static void set_up(struct slot *slot, const struct webhook_message *message) {
    const struct webhook_settings *settings = &slot->sender->settings;
    CURL *easy = slot->easy;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, message->url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, slot->trouble);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, settings->plain_http ? "http,https" : "https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, slot);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (settings->ca_file != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, settings->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a name server that does not answer is not waited for when the time is over */
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "pawld/" PAWL_VERSION);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)settings->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, slot->headers);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, slot->body.data);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)slot->body.len);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, slot);
}

static void release(struct slot *slot) {
    curl_slist_free_all(slot->headers);
    slot->headers = NULL;
    buf_free(&slot->body);
    slot->busy = false;
    slot->sender->busy--;
}

static struct slot *free_slot(struct webhook_sender *sender) {
    for (size_t i = 0; i < WEBHOOK_SLOTS; i++)
        if (!sender->slots[i].busy)
            return &sender->slots[i];
    return NULL;
}

bool webhook_begin(struct webhook_sender *sender, const struct webhook_message *message, void *context) {
    struct slot *slot = free_slot(sender);
    if (slot == NULL)
        return false;
    slot->busy = true;
    sender->busy++;
    slot->context = context;
    slot->taken = 0;
    slot->refused[0] = slot->trouble[0] = '\0';
    buf_init(&slot->body, BODY_MAX);
    buf_append(&slot->body, message->body, message->len);
    if (slot->easy == NULL)
        slot->easy = curl_easy_init();
    if (slot->easy == NULL || slot->body.failed != ERR_NONE || !add_headers(slot, message)) {
        release(slot);
        return false;
    }
    set_up(slot, message);
    if (curl_multi_add_handle(sender->multi, slot->easy) == CURLM_OK)
        return true;
    release(slot);
    return false;
}

/* A receiver that has said 2xx has the message, whatever else it says. */
static void judge(struct slot *slot, CURLcode code, struct webhook_result *ret_result) {
    struct webhook_result result = {.status = 0};
    curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &result.status);
    result.reached = result.status != 0;
    if (slot->refused[0] != '\0' && !result.reached)
        snprintf(result.error, sizeof(result.error), "%s is no public address, and [webhooks] allow does not list it", slot->refused);
    else if (!result.reached)
        snprintf(result.error, sizeof(result.error), "%.150s", slot->trouble[0] != '\0' ? slot->trouble : curl_easy_strerror(code));
    else if (result.status < 200 || result.status > 299)
        snprintf(result.error, sizeof(result.error), "the receiver answered %ld", result.status);
    *ret_result = result;
}

bool webhook_next(struct webhook_sender *sender, void **ret_context, struct webhook_result *ret_result) {
    int left;
    for (const CURLMsg *told; (told = curl_multi_info_read(sender->multi, &left)) != NULL;) {
        struct slot *slot = NULL;
        CURLcode code = told->data.result;
        if (told->msg != CURLMSG_DONE || curl_easy_getinfo(told->easy_handle, CURLINFO_PRIVATE, &slot) != CURLE_OK || slot == NULL)
            continue;
        curl_multi_remove_handle(sender->multi, slot->easy);
        judge(slot, code, ret_result);
        *ret_context = slot->context;
        release(slot);
        return true;
    }
    return false;
}

/* ---- the sender ---- */

bool webhook_open(const struct webhook_settings *settings, struct webhook_sender **ret_sender, struct err *err) {
    struct webhook_sender *sender = calloc(1, sizeof(*sender));
    if (sender == NULL)
        return err_no_memory(err);
    sender->settings = *settings;
    sender->multi = curl_multi_init();
    if (sender->multi == NULL) {
        free(sender);
        return err_no_memory(err);
    }
    curl_multi_setopt(sender->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    for (size_t i = 0; i < WEBHOOK_SLOTS; i++)
        sender->slots[i].sender = sender;
    *ret_sender = sender;
    return true;
}

void webhook_close(struct webhook_sender *sender) {
    if (sender == NULL)
        return;
    for (size_t i = 0; i < WEBHOOK_SLOTS; i++) {
        struct slot *slot = &sender->slots[i];
        if (slot->busy) {
            curl_multi_remove_handle(sender->multi, slot->easy);
            release(slot);
        }
        curl_easy_cleanup(slot->easy);
    }
    curl_multi_cleanup(sender->multi);
    free(sender);
}

size_t webhook_busy(const struct webhook_sender *sender) {
    return sender->busy;
}

void webhook_wait(struct webhook_sender *sender, int64_t ms) {
    int running = 0;
    if (curl_multi_perform(sender->multi, &running) == CURLM_OK && (size_t)running == sender->busy)
        curl_multi_poll(sender->multi, NULL, 0, (int)ms, NULL);
    curl_multi_perform(sender->multi, &running);
}

void webhook_wake(struct webhook_sender *sender) {
    curl_multi_wakeup(sender->multi);
}
