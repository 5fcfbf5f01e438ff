#include "cli/reason.h"

#include "common/json.h"

struct reason_input {
    const char *reason;
};

static const struct json_field reason_fields[] = {
    JSON_FIELD(struct reason_input, reason, JSON_TEXT, 0),
};
static const struct json_shape reason_shape = JSON_SHAPE(struct reason_input, reason_fields);

/* before NULL: whatever it is like now. */
static bool post(struct cli *cli, const char *path, const struct cli_reply *before, const struct buf *body, struct cli_reply *ret_reply,
                 struct err *err) {
    return before == NULL ? cli_client_post(cli, path, body, ret_reply, err) : cli_client_replace(cli, "POST", path, before, body, ret_reply, err);
}

static bool post_reason(struct cli *cli, const char *path, const struct cli_reply *before, const char *reason, struct cli_reply *ret_reply,
                        struct err *err) {
    if (reason == NULL)
        return post(cli, path, before, NULL, ret_reply, err);
    const struct reason_input input = {.reason = reason};
    CLEANUP(buf_free) struct buf body = BUF_INIT(8 * 1024);
    json_write(&body, &reason_shape, &input);
    return post(cli, path, before, &body, ret_reply, err);
}

bool cli_reason_post(struct cli *cli, const char *path, const char *reason, struct cli_reply *ret_reply, struct err *err) {
    return post_reason(cli, path, NULL, reason, ret_reply, err);
}

bool cli_reason_post_seen(struct cli *cli, const char *path, const struct cli_reply *before, const char *reason, struct cli_reply *ret_reply,
                          struct err *err) {
    return post_reason(cli, path, before, reason, ret_reply, err);
}
