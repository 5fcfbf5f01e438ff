/* `pawl keys new`: one key pair for one person or one purpose, apart from any folder. */
#include "cli/groups.h"
#include "cli/local.h"
#include "cli/prompt.h"
#include "cli/view.h"
#include "common/file.h"
#include "common/text.h"
#include "trust/key.h"

struct new_args {
    const char *passphrase_file, *passphrase_fd;
};

static const struct cli_option new_options[] = {
    {"passphrase-file", 0, OPTION_TEXT, offsetof(struct new_args, passphrase_file), "FILE", "passphrase of the new key, mode 0400 or 0600"},
    {"passphrase-fd", 0, OPTION_TEXT, offsetof(struct new_args, passphrase_fd), "N", "the same from an open descriptor"},
};
const struct cli_options cli_keys_new_options = CLI_OPTIONS(struct new_args, new_options);

/* Devices and secure elements verify P-256; what the server alone signs with is Ed25519. */
static const struct {
    const char *role;
    enum key_type type;
} types[] = {
    {"root", KEY_ECDSA_P256},   {"targets", KEY_ECDSA_P256}, {"snapshot", KEY_ECDSA_P256},
    {"timestamp", KEY_ED25519}, {"directive", KEY_ED25519},  {"audit", KEY_ED25519},
};

static bool find_type(const char *role, enum key_type *ret_type, struct err *err) {
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (text_equal(types[i].role, role)) {
            *ret_type = types[i].type;
            return true;
        }
    return err_set(err, ERR_USAGE, "'%s' is no role: root, targets, snapshot, timestamp, directive or audit", role);
}

bool cli_keys_new(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct new_args *new = args;
    const struct cli_passphrase_source source = {new->passphrase_file, new->passphrase_fd, "passphrase-file", "passphrase-fd"};
    CLEANUP(buf_wipe) struct buf passphrase = {0};
    CLEANUP(buf_free) struct buf pem = BUF_INIT(KEY_FILE_MAX);
    CLEANUP(key_cleanup) struct key *key = NULL;
    const char *private_path = arena_printf(&cli->arena, "%s.pem", operands->items[1]);
    const char *public_path = arena_printf(&cli->arena, "%s.pub", operands->items[1]);
    enum key_type type = KEY_NONE;
    if (private_path == NULL || public_path == NULL)
        return err_no_memory(err);
    if (!find_type(operands->items[0], &type, err))
        return false;
    if (file_exists(private_path) || file_exists(public_path))
        return err_set(err, ERR_IO, "%s or %s exists already; keys are never overwritten", private_path, public_path);
    if (!cli_prompt_passphrase(cli, &source, private_path, true, &passphrase, err) || !key_generate(type, &key, err) ||
        !key_export_pem(key, &pem, err) || !key_save_private(key, private_path, passphrase.data, passphrase.len, err))
        return false;
    if (!cli_local_write_new(public_path, pem.data, pem.len, 0644, err))
        return false;
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    buf_printf(&out, "%s\n", key_id(key));
    if (text_equal(operands->items[0], "audit"))
        cli_note(cli, "%s goes to the server ([trust] audit_key); keep %s: it verifies the audit's checkpoints", private_path, public_path);
    else
        cli_note(cli, "%s stays with you; %s goes to whoever makes the root", private_path, public_path);
    return cli_view_write(cli, &out, err);
}
