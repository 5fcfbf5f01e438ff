/* pawld init: makes an installation. Running it again completes what is missing and changes nothing that is there. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "api/served.h"
#include "api/token.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/program.h"
#include "db/audit.h"
#include "server/commands.h"
#include "server/online.h"
#include "trust/trusted.h"

struct init {
    const char *root;
    const char *online_keys;
    bool new_token;
    struct arena *arena;
    int64_t now;
    struct buf root_text;
    const char *token; /* made; NULL: there was one already */
};

static bool copy_key(const char *folder, const char *name, const char *to, struct err *err) {
    char from[4096];
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(KEY_FILE_MAX);
    int len = snprintf(from, sizeof(from), "%s/%s", folder, name);
    if (len < 0 || (size_t)len >= sizeof(from))
        return err_set(err, ERR_USAGE, "--online-keys: the path is too long");
    if (to == NULL || file_exists(to))
        return true;
    char parent[4096];
    const char *slash = strrchr(to, '/');
    if (slash != NULL && slash != to) {
        len = snprintf(parent, sizeof(parent), "%.*s", (int)(slash - to), to);
        if (len < 0 || (size_t)len >= sizeof(parent))
            return err_set(err, ERR_CONFIG, "the path %.64s… is too long", to);
        if (!file_make_dirs(parent, 0700, err))
            return false;
    }
    return file_read_secret(from, &text, err) && file_write_new(to, text.data, text.len, 0400, err);
}

/* Root 1 is taken once; the same bytes again are fine. */
static bool store_root(struct db_conn *tx, struct init *init, struct err *err) {
    struct db_metadata first;
    if (db_metadata_get(tx, "root", 1, init->arena, &first, err)) {
        bool same = first.len == init->root_text.len && memcmp(first.data, init->root_text.data, first.len) == 0;
        return init->root == NULL || same ? true : err_set(err, ERR_CONFLICT, "another root 1 is stored already: it cannot be replaced");
    }
    if (err->code != ERR_NOT_FOUND || init->root == NULL)
        return err->code == ERR_NOT_FOUND;
    struct trusted *trusted CLEANUP(trusted_cleanup) = NULL;
    if (!trusted_open(init->root_text.data, init->root_text.len, &trusted, err) || !trusted_check_root(trusted, init->now, err))
        return err_prefix(err, "%s", init->root);
    if (trusted->root->version != 1)
        return err_set(err, ERR_ROLLBACK, "%s is root %lld, and an installation begins with root 1", init->root, (long long)trusted->root->version);
    return db_metadata_insert(tx, "root", 1, init->root_text.data, init->root_text.len, init->now, err);
}

static bool make_token(struct db_conn *tx, struct init *init, struct err *err) {
    struct db_grant all[] = {
        {"audit:read", ""},   {"device:read", ""},     {"device:write", ""}, {"metrics:read", ""},  {"release:publish", ""},
        {"release:read", ""}, {"rollout:approve", ""}, {"rollout:read", ""}, {"rollout:write", ""}, {"token:admin", ""},
    };
    struct db_tokens tokens;
    if (!db_token_list(tx, &(struct db_list){.limit = 1}, init->arena, &tokens, err))
        return false;
    if (tokens.count > 0 && !init->new_token)
        return true;
    struct db_token token = {
        .name = "first",
        .grant_count = ARRAY_LEN(all),
        .grants = all,
        .created_by = "system",
        .created_at = init->now,
        .expires_at = init->now + API_TOKEN_EXPIRY_MAX_S,
        .revision = 1,
    };
    if (!api_token_make(init->arena, &token, &init->token, err) || !db_token_insert(tx, &token, err))
        return false;
    const struct chain_row row = {
        .time = init->now,
        .actor = "system",
        .action = "token.create",
        .object = arena_printf(init->arena, "token:%s", token.id),
        .detail = "{\"by\":\"pawld init\"}",
        .request_id = "",
    };
    return row.object != NULL ? db_audit_append(tx, &row, err) : err_no_memory(err);
}

static bool run(struct db_conn *tx, void *arg, struct err *err) {
    struct init *init = arg;
    return store_root(tx, init, err) && make_token(tx, init, err);
}

/* What is there must work: the keys open, and root names them. */
static bool check_keys(struct db *db, const struct server_config *config, struct err *err) {
    struct key *timestamp CLEANUP(key_cleanup) = NULL;
    struct key *directive CLEANUP(key_cleanup) = NULL;
    struct key *audit CLEANUP(key_cleanup) = NULL;
    struct trusted *trusted CLEANUP(trusted_cleanup) = NULL;
    struct db_conn *conn;
    if (!online_load(config, &timestamp, &directive, err) || !online_load_audit(config, &audit, err) || !db_reader_open(db, &conn, err))
        return false;
    bool loaded = api_served_load(conn, &trusted, err);
    db_reader_close(conn);
    return loaded && api_served_check_keys(trusted, timestamp, directive, err);
}

static bool make(struct init *init, const struct server_config *config, struct err *err) {
    if (init->root != NULL && !file_read(init->root, &init->root_text, err))
        return false;
    if (init->online_keys != NULL && (!copy_key(init->online_keys, "timestamp.pem", config->trust.timestamp_key, err) ||
                                      !copy_key(init->online_keys, "directive.pem", config->trust.directive_key, err) ||
                                      !copy_key(init->online_keys, "audit.pem", config->trust.audit_key, err)))
        return false;
    struct db *db;
    const struct db_options options = {.folder = config->store.data};
    if (!file_make_dirs(config->store.data, 0700, err) || !db_open(&options, &db, err))
        return false;
    bool done = db_write(db, run, init, err);
    bool complete = done && (init->root == NULL || file_exists(config->trust.passphrase_file));
    if (complete && init->root != NULL)
        done = check_keys(db, config, err);
    db_close(db);
    return done;
}

int commands_init(int argc, char **argv) {
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena, 16 * 1024 * 1024);
    struct init init = {.arena = &arena, .now = clock_now(), .root_text = BUF_INIT(METADATA_ROOT_MAX)};
    const struct option options[] = {
        {"root", 0, OPTION_TEXT, &init.root, "FILE", "the first root metadata, 1.root.json"},
        {"online-keys", 0, OPTION_TEXT, &init.online_keys, "DIR", "folder with timestamp.pem, directive.pem and audit.pem"},
        {"new-token", 0, OPTION_FLAG, &init.new_token, NULL, "make another administrator's token although there are some"},
    };
    const struct commands_line line = {
        .usage =
            "usage: pawld init [--config FILE] [--root 1.root.json] [--online-keys DIR]\n\n"
            "Makes the data folder and the database, stores the pinned root, copies the online keys to where [trust] says (mode 0400), and prints "
            "the\nfirst administrator's token once. Keys and root come from 'pawl keys init DIR'; a PKI for trying things out from "
            "certs/dev-pki.sh.\nRunning it again completes what is missing.\n\n",
        .options = options,
        .option_count = ARRAY_LEN(options)};
    const char *path;
    struct server_config config CLEANUP(server_config_free) = {0};
    struct err err;
    int code;
    if (!commands_parse(&line, argc, argv, &path, NULL, &code))
        return code;
    umask(077);
    bool done = commands_config(path, &config, &err) && make(&init, &config, &err);
    buf_free(&init.root_text);
    if (!done)
        return commands_fail(&err);
    printf("store: %s\n", config.store.data);
    if (!file_exists(config.trust.passphrase_file))
        printf("missing: %s, the passphrase of the online keys (mode 0400); 'serve' needs it\n", config.trust.passphrase_file);
    if (init.token != NULL)
        printf("token: %s\nKeep it: it is shown only now, and expires in 365 days.\n", init.token);
    return EXIT_OK;
}
