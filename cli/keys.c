#include <string.h>

#include "certs/pem.h"
#include "cli/groups.h"
#include "cli/keyring.h"
#include "cli/local.h"
#include "cli/prompt.h"
#include "cli/table.h"
#include "cli/tuf.h"
#include "cli/view.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/text.h"

enum { ROOTS_DEFAULT = 3, THRESHOLD_DEFAULT = 2, OUTPUT_MAX_BYTES = 1 << 20, DAY_S = 86400, SOON_S = 30 * DAY_S };

/* keys init */

struct init_args {
    int64_t roots, threshold;
    const char *passphrase_file, *passphrase_fd, *online_file, *online_fd;
};

static const struct cli_option init_options[] = {
    {"roots", 0, OPTION_INT, offsetof(struct init_args, roots), "N", "number of root keys [3]"},
    {"threshold", 0, OPTION_INT, offsetof(struct init_args, threshold), "K", "how many of them must sign a new root [2]"},
    {"passphrase-file", 0, OPTION_TEXT, offsetof(struct init_args, passphrase_file), "FILE", "passphrase of the offline keys, mode 0400 or 0600"},
    {"passphrase-fd", 0, OPTION_TEXT, offsetof(struct init_args, passphrase_fd), "N", "the same from an open descriptor"},
    {"online-passphrase-file", 0, OPTION_TEXT, offsetof(struct init_args, online_file), "FILE",
     "passphrase of the online keys, which the server will know [that of the offline keys]"},
    {"online-passphrase-fd", 0, OPTION_TEXT, offsetof(struct init_args, online_fd), "N", "the same from an open descriptor"},
};
const struct cli_options cli_keys_init_options = CLI_OPTIONS(struct init_args, init_options);

/* On a terminal both are asked for. Given for the offline keys only, it serves the online ones too, and that is said. */
static bool ask_passphrases(struct cli *cli, const struct init_args *init, struct buf *offline, struct buf *online, struct err *err) {
    const struct cli_passphrase_source for_offline = {init->passphrase_file, init->passphrase_fd, "passphrase-file", "passphrase-fd"};
    const struct cli_passphrase_source for_online = {init->online_file, init->online_fd, "online-passphrase-file", "online-passphrase-fd"};
    bool offline_given = init->passphrase_file != NULL || init->passphrase_fd != NULL;
    bool online_given = init->online_file != NULL || init->online_fd != NULL;
    if (!cli_prompt_passphrase(cli, &for_offline, "the offline keys", true, offline, err))
        return false;
    if (!offline_given || online_given)
        return cli_prompt_passphrase(cli, &for_online, "the online keys", true, online, err);
    cli_note(cli, "the online keys get the same passphrase, which the server will know (--online-passphrase-file gives them their own)");
    buf_init(online, KEY_PASSPHRASE_MAX);
    buf_append(online, offline->data, offline->len);
    return buf_ok(online, "passphrase", err);
}

bool cli_keys_init(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct init_args *init = args;
    CLEANUP(buf_wipe) struct buf offline = {0};
    CLEANUP(buf_wipe) struct buf online = {0};
    struct cli_keyring_plan plan = {
        .folder = operands->items[0],
        .roots = init->roots == 0 ? ROOTS_DEFAULT : init->roots,
        .threshold = init->threshold == 0 ? THRESHOLD_DEFAULT : init->threshold,
        .now = clock_now(),
    };
    size_t len = strlen(plan.folder);
    if (len > 1 && plan.folder[len - 1] == '/')
        plan.folder = arena_strndup(&cli->arena, plan.folder, len - 1);
    if (plan.folder == NULL)
        return err_no_memory(err);
    if (!cli_keyring_check_plan(&plan, err) || !ask_passphrases(cli, init, &offline, &online, err))
        return false;
    plan.offline = (struct cli_keyring_secret){offline.data, offline.len};
    plan.online = (struct cli_keyring_secret){online.data, online.len};
    if (!cli_keyring_create(&cli->arena, &plan, err))
        return false;
    cli_note(cli, "%s: keys made, root 1 signed by %lld of %lld root keys", plan.folder, (long long)plan.threshold, (long long)plan.roots);
    cli_note(cli, "one targets key (threshold 1): whoever holds it and the snapshot key can sign a release");
    cli_note(cli, "next: pawld init --root %s/1.root.json --online-keys %s/online; the other keys never go to the server", plan.folder, plan.folder);
    return true;
}

/* keys list */

bool cli_keys_list(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    struct cli_keyring ring;
    struct cli_table table;
    if (!cli_keyring_read(&cli->arena, operands->items[0], &ring, err))
        return false;
    if (cli->json) {
        CLEANUP(buf_free) struct buf json = BUF_INIT(OUTPUT_MAX_BYTES);
        cli_keyring_write(&ring, &json);
        return buf_ok(&json, "output", err) && cli_view_json(cli, json.data, json.len, err);
    }
    static const char *const titles[] = {"NAME", "ROLE", "TYPE", "FILE", "KEYID"};
    const struct cli_keyring_entry *entries = ring.keys.items;
    cli_table_init(&table, &cli->arena);
    for (size_t i = 0; i < ARRAY_LEN(titles); i++)
        cli_table_column(&table, titles[i], false);
    for (size_t i = 0; i < ring.keys.count; i++) {
        const char *path = cli_keyring_path(&cli->arena, ring.folder, entries[i].file);
        bool here = path != NULL && file_exists(path);
        const char *const cells[] = {entries[i].name, entries[i].role, entries[i].keytype, here ? entries[i].file : "(not here)", entries[i].keyid};
        if (!cli_table_add(&table, cells, err))
            return false;
    }
    return cli_view_table(cli, &table, err);
}

/* keys export */

struct export_args {
    const char *out;
};

static const struct cli_option export_options[] = {
    {"out", 'o', OPTION_TEXT, offsetof(struct export_args, out), "FILE", "write to a new file instead of standard output"},
};
const struct cli_options cli_keys_export_options = CLI_OPTIONS(struct export_args, export_options);

bool cli_keys_export(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct export_args *export = args;
    struct cli_keyring ring;
    CLEANUP(key_cleanup) struct key *key = NULL;
    CLEANUP(buf_free) struct buf pem = BUF_INIT(KEY_FILE_MAX);
    if (!cli_keyring_read(&cli->arena, operands->items[0], &ring, err))
        return false;
    const struct cli_keyring_entry *entry = cli_keyring_find(&ring, operands->items[1]);
    if (entry == NULL)
        return err_set(err, ERR_USAGE, "no key '%s' in %s (pawl keys list shows them)", operands->items[1], ring.folder);
    if (!key_from_public(entry->keytype, entry->scheme, entry->public, &key, err) || !key_export_pem(key, &pem, err))
        return err_prefix(err, "key '%s'", entry->name);
    if (export->out == NULL)
        return cli_view_write(cli, &pem, err);
    return cli_local_write_new(export->out, pem.data, pem.len, 0644, err);
}

/* keys status */

struct status_args {
    bool offline;
    struct option_texts certificates;
};

static const struct cli_option status_options[] = {
    {"offline", 0, OPTION_FLAG, offsetof(struct status_args, offline), NULL, "do not ask the server: what was verified last"},
    {"certificate", 0, OPTION_TEXTS, offsetof(struct status_args, certificates), "FILE",
     "a certificate file (PEM) to look at as well (repeat for more)"},
};
const struct cli_options cli_keys_status_options = CLI_OPTIONS(struct status_args, status_options);

struct role_status {
    const char *role;
    int64_t version, expires_at, keys, threshold;
    const char *standing; /* "ok", "expires soon", "expired" */
};

struct statuses {
    struct json_list roles;
};

static const struct json_field role_fields[] = {
    JSON_FIELD(struct role_status, role, JSON_TEXT, 0),       JSON_FIELD(struct role_status, version, JSON_INT, 0),
    JSON_FIELD(struct role_status, expires_at, JSON_TIME, 0), JSON_FIELD(struct role_status, keys, JSON_INT, 0),
    JSON_FIELD(struct role_status, threshold, JSON_INT, 0),   JSON_FIELD(struct role_status, standing, JSON_TEXT, 0),
};
static const struct json_shape role_shape = JSON_SHAPE(struct role_status, role_fields);
static const struct json_field statuses_fields[] = {
    JSON_FIELD(struct statuses, roles, JSON_STRUCTS, 0, .shape = &role_shape),
};
static const struct json_shape statuses_shape = JSON_SHAPE(struct statuses, statuses_fields);

static const char *standing_of(int64_t expires_at, int64_t soon_s, int64_t now) {
    if (expires_at <= now)
        return "expired";
    return expires_at - now <= soon_s ? "expires soon" : "ok";
}

/* The server renews the timestamp every day: for it "soon" means that this was missed. */
static struct role_status status_of(const struct metadata *file, const struct signers *signers, int64_t now) {
    return (struct role_status){
        .role = file->name,
        .version = file->version,
        .expires_at = file->expires_at,
        .keys = (int64_t)signers->count,
        .threshold = (int64_t)signers->threshold,
        .standing = standing_of(file->expires_at, file->role == METADATA_TIMESTAMP ? DAY_S / 4 : SOON_S, now),
    };
}

static size_t collect_roles(const struct trusted *trusted, int64_t now, struct role_status *ret_roles) {
    const struct metadata *const files[] = {trusted->root, trusted->targets, trusted->snapshot, trusted->timestamp};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (files[i] != NULL)
            ret_roles[count++] = status_of(files[i], &trusted->root->signers[files[i]->role], now);
    for (size_t i = 0; i < trusted->delegated_count; i++) {
        const struct metadata *file = trusted->delegated[i].metadata;
        ret_roles[count++] = status_of(file, &metadata_delegation_find(trusted->delegated[i].delegator, file->name)->signers, now);
    }
    return count;
}

/* Certificates have neither version nor threshold: one key, which is in it. */
static bool collect_certificates(const struct option_texts *paths, int64_t now, struct role_status *ret_roles, size_t *count, struct err *err) {
    for (size_t i = 0; i < paths->count; i++) {
        CLEANUP(buf_free) struct buf pem = BUF_INIT(OUTPUT_MAX_BYTES);
        int64_t expires_at = 0;
        if (!cli_local_read(paths->items[i], &pem, err))
            return false;
        if (!certs_pem_expiry(pem.data, pem.len, paths->items[i], &expires_at, err)) {
            err->code = ERR_IO;
            return false;
        }
        ret_roles[(*count)++] = (struct role_status){
            .role = paths->items[i], .expires_at = expires_at, .keys = 1, .threshold = 1, .standing = standing_of(expires_at, SOON_S, now)};
    }
    return true;
}

static bool print_roles(struct cli *cli, const struct role_status *roles, size_t count, int64_t now, struct err *err) {
    static const char *const titles[] = {"ROLE", "VERSION", "EXPIRES", "DAYS LEFT", "KEYS", "STANDING"};
    struct cli_table table;
    cli_table_init(&table, &cli->arena);
    for (size_t i = 0; i < ARRAY_LEN(titles); i++)
        cli_table_column(&table, titles[i], text_equal(titles[i], "VERSION") || text_equal(titles[i], "DAYS LEFT"));
    for (size_t i = 0; i < count; i++) {
        char expires[CLOCK_RFC3339_SIZE];
        clock_rfc3339(roles[i].expires_at, expires);
        const char *const cells[] = {
            roles[i].role,
            arena_printf(&cli->arena, "%lld", (long long)roles[i].version),
            expires,
            arena_printf(&cli->arena, "%lld", (long long)((roles[i].expires_at - now) / DAY_S)),
            arena_printf(&cli->arena, "%lld of %lld", (long long)roles[i].threshold, (long long)roles[i].keys),
            roles[i].standing,
        };
        if (!cli_table_add(&table, cells, err))
            return false;
    }
    return cli_view_table(cli, &table, err);
}

static bool print_roles_json(struct cli *cli, struct role_status *roles, size_t count, struct err *err) {
    const struct statuses all = {.roles = {.count = count, .items = roles}};
    CLEANUP(buf_free) struct buf json = BUF_INIT(OUTPUT_MAX_BYTES);
    json_write(&json, &statuses_shape, &all);
    return buf_ok(&json, "output", err) && cli_view_json(cli, json.data, json.len, err);
}

bool cli_keys_status(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct status_args *status = args;
    CLEANUP(cli_tuf_close) struct cli_tuf tuf = {0};
    struct role_status roles[METADATA_ROLE_COUNT + TRUSTED_DELEGATED_MAX + ARRAY_LEN(status->certificates.items)];
    int64_t now = clock_now();
    bool asked = !status->offline && cli->profile.server != NULL;
    const char *root = arena_printf(&cli->arena, "%s/1.root.json", operands->items[0]);
    if (root == NULL)
        return err_no_memory(err);
    if (!cli_tuf_open(cli, root, &tuf, err))
        return false;
    if (!asked)
        cli_note(cli, "as verified here last; the server was not asked");
    bool fresh = !asked || cli_tuf_refresh(cli, &tuf, NULL, now, err);
    if (!fresh && err->code != ERR_EXPIRED) /* what has expired is shown, and fails all the same */
        return false;
    struct err unprinted;
    size_t count = collect_roles(tuf.trusted, now, roles);
    if (!collect_certificates(&status->certificates, now, roles, &count, fresh ? err : &unprinted))
        return false;
    bool printed = cli->json ? print_roles_json(cli, roles, count, &unprinted) : print_roles(cli, roles, count, now, &unprinted);
    if (fresh && !printed)
        *err = unprinted;
    return fresh && printed;
}
