#include "agent/response.h"

#include <string.h>
#include <strings.h>

#include "common/text.h"

#define SECONDS_MAX INT64_C(31536000)

void agent_response_init(struct agent_response *response) {
    *response = (struct agent_response){.content_length = -1, .range_first = -1, .range_last = -1, .range_total = -1};
}

/* Digits from *at on; false when there are none or too many. Moves *at behind them. */
static bool take_number(const char **at, int64_t *ret_value) {
    size_t len = strspn(*at, "0123456789");
    if (!text_to_int_n(*at, len, 0, INT64_MAX, ret_value))
        return false;
    *at += len;
    return true;
}

bool agent_response_range(const char *text, struct agent_response *ret_response) {
    int64_t first = -1, last = -1, total = -1;
    if (strncasecmp(text, "bytes ", 6) != 0)
        return false;
    const char *at = text + 6;
    bool unsatisfied = *at == '*';
    if (unsatisfied)
        at++;
    else if (!take_number(&at, &first) || *at++ != '-' || !take_number(&at, &last) || first > last)
        return false;
    if (*at++ != '/')
        return false;
    if (*at == '*')
        at++;
    else if (!take_number(&at, &total))
        return false;
    if (*at != '\0' || (total >= 0 && last >= total) || (unsatisfied && total < 0))
        return false;
    ret_response->has_range = true;
    ret_response->range_first = first;
    ret_response->range_last = last;
    ret_response->range_total = total;
    return true;
}

static void take_length(struct agent_response *response, const char *value) {
    if (!text_to_int(value, 0, INT64_MAX, &response->content_length))
        response->content_length = -1;
}

/* Only a strong tag can prove that a cut file and the rest of it are of one piece. Characters of RFC 9110 §8.8.3, without the obsolete ones. */
static void take_etag(struct agent_response *response, const char *value) {
    size_t len = strlen(value), at = 1;
    while (at < len && value[at] > ' ' && value[at] < 0x7f && value[at] != '"')
        at++;
    if (len >= 3 && value[0] == '"' && value[at] == '"' && at == len - 1)
        text_copy(response->etag, sizeof(response->etag), value);
    else
        response->etag[0] = '\0';
}

static void take_range(struct agent_response *response, const char *value) {
    if (!agent_response_range(value, response))
        response->has_range = false;
}

static void take_poll_after(struct agent_response *response, const char *value) {
    if (!text_to_int(value, 1, SECONDS_MAX, &response->poll_after_s))
        response->poll_after_s = 0;
}

static void take_retry_after(struct agent_response *response, const char *value) {
    if (!text_to_int(value, 1, SECONDS_MAX, &response->retry_after_s))
        response->retry_after_s = 0;
}

static void take_type(struct agent_response *response, const char *value) {
    response->problem = strncasecmp(value, "application/problem+json", 24) == 0;
}

static const struct {
    const char *name;
    void (*take)(struct agent_response *response, const char *value);
} fields[] = {
    {"content-length", take_length},   {"etag", take_etag},         {"content-range", take_range}, {"poll-after", take_poll_after},
    {"retry-after", take_retry_after}, {"content-type", take_type},
};

/* "HTTP/1.1 206 Partial Content" */
static bool take_status(struct agent_response *response, const char *line) {
    int64_t status = 0;
    if (strncmp(line, "HTTP/", 5) != 0)
        return false;
    agent_response_init(response);
    const char *at = strchr(line, ' ');
    if (at != NULL && text_to_int_n(at + 1, strspn(at + 1, "0123456789"), 100, 999, &status))
        response->status = (long)status;
    return true;
}

void agent_response_line(struct agent_response *response, const char *line, size_t len) {
    char text[1024];
    while (len > 0 && strchr(" \t\r\n", line[len - 1]) != NULL && line[len - 1] != '\0')
        len--;
    if (len == 0 || len >= sizeof(text) || memchr(line, '\0', len) != NULL)
        return;
    memcpy(text, line, len);
    text[len] = '\0';
    if (take_status(response, text))
        return;
    char *value = strchr(text, ':');
    if (value == NULL)
        return;
    *value++ = '\0';
    value += strspn(value, " \t");
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (strcasecmp(text, fields[i].name) == 0)
            fields[i].take(response, value);
}

bool agent_response_may_resume(const struct agent_have *have) {
    return have->have_bytes > 0 && have->have_bytes < have->signed_bytes && have->etag != NULL && have->etag[0] == '"';
}

/* The questions that rows of the table ask. */
typedef bool (*question)(const struct agent_response *response, const struct agent_have *have);

static bool always(UNUSED const struct agent_response *response, UNUSED const struct agent_have *have) {
    return true;
}

static bool is_the_rest(const struct agent_response *response, const struct agent_have *have) {
    int64_t rest = have->signed_bytes - have->have_bytes;
    return agent_response_may_resume(have) && response->has_range && response->range_first == have->have_bytes &&
           response->range_last == have->signed_bytes - 1 && response->range_total == have->signed_bytes && strcmp(response->etag, have->etag) == 0 &&
           (response->content_length < 0 || response->content_length == rest);
}

static bool says_other_length(const struct agent_response *response, const struct agent_have *have) {
    return response->content_length >= 0 && response->content_length != have->signed_bytes;
}

static bool says_other_total(const struct agent_response *response, const struct agent_have *have) {
    return response->has_range && response->range_total >= 0 && response->range_total != have->signed_bytes;
}

static bool asked_for_range(UNUSED const struct agent_response *response, const struct agent_have *have) {
    return agent_response_may_resume(have);
}

/* Read top-down; the first row whose status and question fit decides. Status 0 fits any, 500 any from 500 on. */
static const struct {
    long status;
    question fits;
    enum agent_body body;
    enum err_code code;
    const char *text;
} table[] = {
    {200, says_other_length, AGENT_BODY_REFUSE, ERR_LENGTH, "the server offers another length than is signed"},
    {200, always, AGENT_BODY_WHOLE, ERR_NONE, NULL},
    {206, is_the_rest, AGENT_BODY_APPEND, ERR_NONE, NULL},
    {206, says_other_total, AGENT_BODY_REFUSE, ERR_LENGTH, "the server offers another length than is signed"},
    {206, always, AGENT_BODY_REFUSE, ERR_RANGE, "the server sent another range than was asked for"},
    {416, says_other_total, AGENT_BODY_REFUSE, ERR_LENGTH, "the server has another length than is signed"},
    {416, asked_for_range, AGENT_BODY_ANEW, ERR_NONE, NULL},
    {416, always, AGENT_BODY_REFUSE, ERR_RANGE, "the server refuses a range that was not asked for"},
    {412, asked_for_range, AGENT_BODY_ANEW, ERR_NONE, NULL},
    {403, always, AGENT_BODY_REFUSE, ERR_NOT_ENTITLED, "the server does not give this image to this device"},
    {404, always, AGENT_BODY_REFUSE, ERR_NOT_FOUND, "the server does not have this image"},
    {410, always, AGENT_BODY_REFUSE, ERR_NOT_FOUND, "the server no longer has this image"},
    {429, always, AGENT_BODY_REFUSE, ERR_BUSY, "the server asks to come back later"},
    {500, always, AGENT_BODY_REFUSE, ERR_BUSY, "the server cannot give the image now"},
    {0, always, AGENT_BODY_REFUSE, ERR_NETWORK, "the reply makes no sense for a download"},
};

static bool row_fits(size_t row, const struct agent_response *response, const struct agent_have *have) {
    long status = table[row].status;
    return (status == 0 || response->status == status || (status == 500 && response->status >= 500)) && table[row].fits(response, have);
}

enum agent_body agent_response_decide(const struct agent_response *response, const struct agent_have *have, struct err *err) {
    size_t row = 0;
    while (!row_fits(row, response, have)) /* the last row fits everything */
        row++;
    if (table[row].body == AGENT_BODY_REFUSE)
        (void)err_set(err, table[row].code, "HTTP %ld: %s", response->status, table[row].text);
    return table[row].body;
}
