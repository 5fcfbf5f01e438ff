#include "api/cut.h"

#include <stdlib.h>

#include "api/env.h"
#include "common/text.h"

struct cut {
    const struct api_env *env;
    char id[DB_DEVICE_ID_SIZE];
};

/* After COMMIT: the registry refuses the device already; what is still open is closed. */
static void cut_apply(struct db *db, void *arg, bool committed) {
    (void)db;
    struct cut *cut = arg;
    if (committed)
        cut->env->disconnect(cut->env->server, cut->id);
    free(cut);
}

bool api_cut_device(struct api_call *call, const char *id, struct err *err) {
    struct cut *cut = calloc(1, sizeof(*cut));
    if (cut == NULL)
        return err_no_memory(err);
    cut->env = call->env;
    if (text_copy(cut->id, sizeof(cut->id), id) && db_on_commit(call->db, cut_apply, cut, err))
        return true;
    free(cut);
    return false;
}
