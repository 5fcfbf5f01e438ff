#include "server/status.h"

static const struct status {
    int status;
    const char *phrase;
} statuses[STATUS_COUNT] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {STATUS_GONE, "Client Gone"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

size_t status_index(int status) {
    size_t i = 0;
    while (i < STATUS_COUNT && statuses[i].status != status)
        i++;
    return i;
}

int status_at(size_t index) {
    return index < STATUS_COUNT ? statuses[index].status : 0;
}

const char *status_phrase(int status) {
    size_t i = status_index(status);
    return i < STATUS_COUNT ? statuses[i].phrase : "Status";
}
