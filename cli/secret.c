#include "cli/secret.h"

#include <string.h>

#include "cli/view.h"
#include "common/file.h"

struct made {
    const char *object; /* as JSON */
    const char *secret;
};

struct object {
    const char *id;
};

static const struct json_field object_fields[] = {JSON_FIELD(struct object, id, JSON_TEXT, JSON_REQUIRED)};
static const struct json_shape object_shape = JSON_SHAPE_OPEN(struct object, object_fields);

static bool read_reply(struct cli *cli, const struct cli_secret *secret, const struct cli_reply *reply, struct made *ret_made,
                       struct object *ret_object, struct err *err) {
    const struct json_field fields[] = {
        {.name = secret->kind, .type = JSON_RAW, .offset = offsetof(struct made, object), .flags = JSON_REQUIRED},
        JSON_FIELD(struct made, secret, JSON_TEXT, JSON_NULLABLE),
    };
    const struct json_shape shape = JSON_SHAPE_OPEN(struct made, fields);
    return (json_read(&cli->arena, reply->body, reply->len, &shape, ret_made, NULL, err) &&
            json_read(&cli->arena, ret_made->object, strlen(ret_made->object), &object_shape, ret_object, NULL, err)) ||
           err_prefix(err, "reply of the server");
}

bool cli_secret_check(const struct cli_secret *secret, struct err *err) {
    return secret->out == NULL || !file_exists(secret->out) || err_set(err, ERR_IO, "%s exists already", secret->out);
}

bool cli_secret_make(struct cli *cli, const struct cli_secret *secret, const char *path, const struct buf *body, struct err *err) {
    struct cli_reply reply;
    return cli_secret_check(secret, err) && cli_client_post(cli, path, body, &reply, err) && cli_secret_hand_over(cli, secret, &reply, err);
}

bool cli_secret_hand_over(struct cli *cli, const struct cli_secret *secret, const struct cli_reply *reply, struct err *err) {
    const char *kind = secret->kind;
    struct made made;
    struct object object;
    if (!read_reply(cli, secret, reply, &made, &object, err))
        return false;
    if (made.secret == NULL)
        return err_set(err, ERR_CONFLICT, "%s %s was made, but its secret was in a reply that got lost: revoke it and make another", kind, object.id);
    const char *line = arena_printf(&cli->arena, "%s\n", made.secret);
    if (line == NULL)
        return err_no_memory(err);
    if (secret->out != NULL && !file_write_new(secret->out, line, strlen(line), secret->mode, err))
        return err_prefix(err, "%s %s was made but cannot be kept (revoke it)", kind, object.id);
    if (cli->json)
        return secret->out != NULL ? cli_view_json(cli, made.object, strlen(made.object), err) : cli_view_json(cli, reply->body, reply->len, err);
    if (secret->out != NULL) {
        cli_note(cli, "%s %s is in %s", kind, object.id, secret->out);
        return true;
    }
    cli_note(cli, "%s %s; this is the only time that it is shown:", kind, object.id);
    CLEANUP(buf_wipe) struct buf out = BUF_INIT(1024);
    buf_text(&out, line);
    return cli_view_write(cli, &out, err);
}
