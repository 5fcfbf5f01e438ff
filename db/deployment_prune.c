/* What was said of deployments that have been over for long goes, so that the store does not grow with every report for ever. */
#include "db/deployment.h"
#include "db/query.h"

enum { SLICE_DEPLOYMENTS = 500, SLICE_ROWS = 2000 };

struct row {
    int64_t id;
};

static const struct db_column columns[] = {DB_COLUMN(DB_INT, struct row, id)};
static const struct db_shape shape = DB_SHAPE(struct row, columns);

/* Adds to *rows what it has removed or changed. */
static bool prune_one(struct db_conn *tx, int64_t id, int64_t *rows, struct err *err) {
    static const enum db_query steps[] = {DB_QUERY_REPORT_PRUNE, DB_QUERY_DDI_LOG_CLEAR, DB_QUERY_DDI_ACTION_LOG_CLEARED, DB_QUERY_DEPLOYMENT_PRUNED};

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct db_stmt *stmt = db_query_begin(tx, steps[i]);
        int64_t changes;

        db_query_int(stmt, 1, id);
        if (!db_query_run(stmt, &changes, err))
            return false;
        *rows += changes;
    }
    return true;
}

bool db_deployment_prune(struct db_conn *tx, int64_t before, size_t *ret_pruned, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_DEPLOYMENT_TO_PRUNE);
    const struct row *closed;
    size_t count, pruned = 0;
    int64_t rows = 0;

    arena_init(&arena, 1 << 20);
    db_query_int(stmt, 1, before);
    db_query_int(stmt, 2, SLICE_DEPLOYMENTS);
    if (!db_query_page(stmt, &shape, SLICE_DEPLOYMENTS, &arena, &closed, &count, NULL, err))
        return false;
    for (; pruned < count && rows < SLICE_ROWS; pruned++)
        if (!prune_one(tx, closed[pruned].id, &rows, err))
            return false;
    *ret_pruned = pruned;
    return true;
}
