#include "cli/verb.h"

#include "cli/prompt.h"

static const struct cli_option verb_options[] = {
    {"reason", 0, OPTION_TEXT, offsetof(struct cli_verb_args, reason), "TEXT", "why, for the audit"},
};
const struct cli_options cli_verb_options = CLI_OPTIONS(struct cli_verb_args, verb_options);

/* The body. */
static const struct json_field reason_fields[] = {JSON_FIELD(struct cli_verb_args, reason, JSON_TEXT, 0)};
static const struct json_shape reason_shape = JSON_SHAPE(struct cli_verb_args, reason_fields);

static bool ask(struct cli *cli, const struct cli_verb *verb, const char *id, struct err *err) {
    return verb->question == NULL || cli_prompt_confirm(cli, arena_printf(&cli->arena, "%s %s: %s", verb->name, id, verb->question), err);
}

bool cli_verb_post(struct cli *cli, const char *path, const struct cli_reply *before, const char *reason, struct cli_reply *ret_reply,
                   struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(8 * 1024);
    const struct cli_verb_args input = {.reason = reason};
    const struct buf *body = reason != NULL ? &text : NULL;
    if (reason != NULL)
        json_write(&text, &reason_shape, &input);
    return before == NULL ? cli_client_post(cli, path, body, ret_reply, err) : cli_client_replace(cli, "POST", path, before, body, ret_reply, err);
}

bool cli_verb_run(struct cli *cli, const struct cli_verb *verb, const char *id, const struct cli_verb_args *args, struct err *err) {
    const char *path = cli_view_path(&cli->arena, verb->collection, id, verb->name, (char *)NULL);
    struct cli_reply reply;
    return ask(cli, verb, id, err) && cli_verb_post(cli, path, NULL, args == NULL ? NULL : args->reason, &reply, err) &&
           cli_view_show(cli, &reply, verb->view, err);
}

bool cli_verb_delete(struct cli *cli, const struct cli_verb *verb, const char *id, const char *done, struct err *err) {
    const char *path = cli_view_path(&cli->arena, verb->collection, id, (char *)NULL);
    struct cli_reply reply;
    if (!ask(cli, verb, id, err) || !cli_client_update(cli, "DELETE", path, NULL, &reply, err))
        return false;
    cli_note(cli, "%s: %s", id, done);
    return true;
}
