/* What an administrator does to one object of the API: a question where one is due, one request, and what the object is like then. */
#ifndef PAWL_CLI_VERB_H
#define PAWL_CLI_VERB_H

#include "cli/view.h"

/* The options of a verb that takes nothing but a reason for the audit. */
struct cli_verb_args {
    const char *reason;
};
extern const struct cli_options cli_verb_options;

struct cli_verb {
    const char *collection;      /* "/api/v1/devices" */
    const char *name;            /* the path behind the object's id */
    const char *question;        /* asked behind "NAME ID: "; NULL: none */
    const struct cli_view *view; /* of the object */
};

/* POSTs <collection>/<id>/<name> with the reason, if there is one (args may be NULL), and shows the reply. */
bool cli_verb_run(struct cli *cli, const struct cli_verb *verb, const char *id, const struct cli_verb_args *args, struct err *err) MUST_USE;

/* The POST alone; reason NULL: no body; before (NULL: whatever it is like now) is an earlier reply, whose ETag goes along as If-Match. */
bool cli_verb_post(struct cli *cli, const char *path, const struct cli_reply *before, const char *reason, struct cli_reply *ret_reply,
                   struct err *err) MUST_USE;

/* DELETE of <collection>/<id>, after the question; says "ID: <done>". verb->view is not asked. */
bool cli_verb_delete(struct cli *cli, const struct cli_verb *verb, const char *id, const char *done, struct err *err) MUST_USE;

#endif
