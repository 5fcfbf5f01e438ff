#include "db/token.h"

#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "db/list.h"
#include "db/query.h"
#include "db/store.h"

enum { MAX_UNFLUSHED = 256 }; /* tokens used between two flushes; the last use of more than that is not noted */

static const struct db_column columns[] = {
    DB_COLUMN(DB_TEXT, struct db_token, id),
    DB_COLUMN(DB_FIXED, struct db_token, secret_sha256),
    DB_COLUMN(DB_FIXED, struct db_token, previous_sha256),
    DB_COLUMN_AS(DB_KNOWN, struct db_token, has_previous, "previous_sha256"),
    DB_COLUMN(DB_INT, struct db_token, previous_until),
    DB_COLUMN(DB_TEXT, struct db_token, name),
    DB_COLUMN(DB_TEXT, struct db_token, created_by),
    DB_COLUMN(DB_INT, struct db_token, created_at),
    DB_COLUMN(DB_INT, struct db_token, expires_at),
    DB_COLUMN(DB_INT, struct db_token, last_used_at),
    DB_COLUMN(DB_INT, struct db_token, revoked_at),
    DB_COLUMN(DB_INT, struct db_token, revision),
};
static const struct db_shape shape = DB_SHAPE(struct db_token, columns);

static const struct db_column grant_columns[] = {DB_COLUMN(DB_TEXT, struct db_grant, scope), DB_COLUMN(DB_TEXT, struct db_grant, product)};
static const struct db_shape grant_shape = DB_SHAPE(struct db_grant, grant_columns);

/* What was used since the last flush. */
struct db_token_uses {
    pthread_mutex_t mutex;
    size_t count;
    struct {
        char id[DB_TOKEN_ID_SIZE];
        int64_t at;
    } uses[MAX_UNFLUSHED];
};

static bool read_grants(struct db_conn *conn, struct arena *arena, struct db_token *tokens, size_t count, struct err *err) {
    for (size_t i = 0; i < count; i++) {
        struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_TOKEN_GRANTS);

        db_query_text(stmt, 1, tokens[i].id);
        if (!db_query_page(stmt, &grant_shape, SIZE_MAX, arena, &tokens[i].grants, &tokens[i].grant_count, NULL, err))
            return false;
    }
    return true;
}

bool db_token_get(struct db_conn *conn, const char *id, struct arena *arena, struct db_token *ret_token, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_TOKEN_GET);
    struct db_token token;

    db_query_text(stmt, 1, id);
    if (!db_query_one(stmt, &shape, arena, &token, "token", id, err) || !read_grants(conn, arena, &token, 1, err))
        return false;
    *ret_token = token;
    return true;
}

bool db_token_allows(const struct db_token *token, const char *scope, const char *product) {
    for (size_t i = 0; i < token->grant_count; i++) {
        const struct db_grant *grant = &token->grants[i];

        if (strcmp(grant->scope, scope) == 0 && (!grant->product[0] || strcmp(grant->product, product) == 0))
            return true;
    }
    return false;
}

bool db_token_list(struct db_conn *conn, const struct db_list *list, struct arena *arena, struct db_tokens *ret_page, struct err *err) {
    struct db_tokens page = {.count = 0};
    struct db_listing listing;

    if (!db_list_begin(conn, DB_QUERY_TOKEN_LIST, list, &shape, arena, &listing, err))
        return false;
    if (!db_list_page(&listing, &page.items, &page.count, &page.next, err) || !read_grants(conn, arena, page.items, page.count, err))
        return false;
    *ret_page = page;
    return true;
}

bool db_token_insert(struct db_conn *tx, const struct db_token *token, struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_TOKEN_INSERT);
    int64_t changes;

    if (strlen(token->id) >= DB_TOKEN_ID_SIZE)
        return err_set(err, ERR_INVALID, "token id: %d bytes at most", DB_TOKEN_ID_SIZE - 1);
    db_query_text(stmt, 1, token->id);
    db_query_blob(stmt, 2, token->secret_sha256, sizeof token->secret_sha256);
    db_query_text(stmt, 3, token->name ? token->name : "");
    db_query_text(stmt, 4, token->created_by ? token->created_by : "");
    db_query_int(stmt, 5, token->created_at);
    db_query_int(stmt, 6, token->expires_at);
    if (!db_query_run(stmt, &changes, err))
        return false;
    if (changes == 0)
        return err_set(err, ERR_CONFLICT, "token '%s' exists", token->id);
    for (size_t i = 0; i < token->grant_count; i++) {
        stmt = db_query_begin(tx, DB_QUERY_TOKEN_GRANT_INSERT);
        db_query_text(stmt, 1, token->id);
        db_query_text(stmt, 2, token->grants[i].scope);
        db_query_text(stmt, 3, token->grants[i].product ? token->grants[i].product : "");
        if (!db_query_run(stmt, NULL, err))
            return false;
    }
    return true;
}

bool db_token_revoke(struct db_conn *tx, const char *id, int64_t revision, int64_t now, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct db_token token;
    struct db_stmt *stmt;

    arena_init(&arena, 1 << 20);
    if (!db_token_get(tx, id, &arena, &token, err))
        return false;
    if (token.revoked_at)
        return err_set(err, ERR_CONFLICT, "token '%s' is revoked already", id);
    if (revision && token.revision != revision)
        return err_set(err, ERR_PRECONDITION, "token '%s' was changed meanwhile", id);
    stmt = db_query_begin(tx, DB_QUERY_TOKEN_REVOKE);
    db_query_text(stmt, 1, id);
    db_query_int(stmt, 2, now);
    return db_query_run(stmt, NULL, err);
}

bool db_token_rotate(struct db_conn *tx, const char *id, const uint8_t secret_sha256[32], int64_t previous_until, int64_t expires_at,
                     struct err *err) {
    struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_TOKEN_ROTATE);
    int64_t changes;

    db_query_text(stmt, 1, id);
    db_query_blob(stmt, 2, secret_sha256, 32);
    db_query_int(stmt, 3, previous_until);
    db_query_int(stmt, 4, expires_at);
    if (!db_query_run(stmt, &changes, err))
        return false;
    return changes == 1 || err_set(err, ERR_CONFLICT, "token '%s' is revoked", id);
}

void db_token_used(struct db *db, const char *id, int64_t now) {
    struct db_token_uses *uses = db->token_uses;
    size_t i = 0;

    pthread_mutex_lock(&uses->mutex);
    while (i < uses->count && strcmp(uses->uses[i].id, id) != 0)
        i++;
    if (i < uses->count) {
        uses->uses[i].at = now;
    } else if (i < MAX_UNFLUSHED && text_copy(uses->uses[i].id, sizeof uses->uses[i].id, id)) {
        uses->uses[i].at = now;
        uses->count++;
    }
    pthread_mutex_unlock(&uses->mutex);
}

static bool flush_run(struct db_conn *tx, void *arg, struct err *err) {
    const struct db_token_uses *uses = arg;

    for (size_t i = 0; i < uses->count; i++) {
        struct db_stmt *stmt = db_query_begin(tx, DB_QUERY_TOKEN_USED);

        db_query_text(stmt, 1, uses->uses[i].id);
        db_query_int(stmt, 2, uses->uses[i].at);
        if (!db_query_run(stmt, NULL, err))
            return false;
    }
    return true;
}

static void flush_done(void *arg, bool ok, const struct err *err) {
    (void)ok; /* a last use that is not written is lost; the next one is noted again */
    (void)err;
    free(arg);
}

void db_token_flush(struct db *db) {
    struct db_token_uses *uses = db->token_uses, *copy;
    struct db_job job = {.run = flush_run, .done = flush_done};
    struct err ignored;

    copy = malloc(sizeof *copy);
    if (!copy)
        return;
    pthread_mutex_lock(&uses->mutex);
    copy->count = uses->count;
    memcpy(copy->uses, uses->uses, sizeof copy->uses);
    uses->count = 0;
    pthread_mutex_unlock(&uses->mutex);
    job.arg = copy;
    if (copy->count == 0 || !db_submit(db, &job, &ignored))
        free(copy);
}

bool db_token_open(struct db *db, struct err *err) {
    db->token_uses = calloc(1, sizeof *db->token_uses);
    if (!db->token_uses)
        return err_no_memory(err);
    pthread_mutex_init(&db->token_uses->mutex, NULL);
    return true;
}

void db_token_close(struct db *db) {
    if (!db->token_uses)
        return;
    pthread_mutex_destroy(&db->token_uses->mutex);
    free(db->token_uses);
    db->token_uses = NULL;
}
