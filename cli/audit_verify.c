/* `pawl audit verify`: an export, a checkpoint and the audit key's public half are all it needs. */
#include <string.h>
#include <unistd.h>

#include "cli/audit_chain.h"
#include "cli/groups.h"
#include "cli/keyring.h"
#include "cli/local.h"
#include "cli/view.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/text.h"

enum { READ_BYTES = 64 * 1024, CHECKPOINT_MAX = 8192, KEYS_MAX = 8 };

struct verify_args {
    const char *checkpoint, *keys;
    struct option_texts key_files;
};

static const struct cli_option verify_options[] = {
    {"checkpoint", 0, OPTION_TEXT, offsetof(struct verify_args, checkpoint), "FILE", "a checkpoint, as `audit checkpoint --out` wrote it"},
    {"key", 0, OPTION_TEXTS, offsetof(struct verify_args, key_files), "FILE", "public audit key, PEM (repeat when it was changed)"},
    {"keys", 0, OPTION_TEXT, offsetof(struct verify_args, keys), "DIR", "key folder that the audit key is from, instead"},
};
const struct cli_options cli_audit_verify_options = CLI_OPTIONS(struct verify_args, verify_options);

struct keys {
    struct key *items[KEYS_MAX];
    size_t count;
};

static void keys_free(struct keys *keys) {
    for (size_t i = 0; i < keys->count; i++)
        key_free(keys->items[i]);
}

static bool add_file(struct keys *keys, const char *path, struct err *err) {
    if (keys->count == KEYS_MAX)
        return err_set(err, ERR_USAGE, "--key: at most %d", KEYS_MAX);
    if (!cli_local_public_key(path, &keys->items[keys->count], err))
        return false;
    keys->count++;
    return true;
}

static bool add_folder(struct cli *cli, struct keys *keys, const char *folder, struct err *err) {
    struct cli_keyring ring;
    if (!cli_keyring_read(&cli->arena, folder, &ring, err))
        return false;
    const struct cli_keyring_entry *entries = ring.keys.items;
    for (size_t i = 0; i < ring.keys.count && keys->count < KEYS_MAX; i++) {
        if (!text_equal(entries[i].role, "audit"))
            continue;
        if (!key_from_public(entries[i].keytype, entries[i].scheme, entries[i].public, &keys->items[keys->count], err))
            return err_prefix(err, "%s: key '%s'", folder, entries[i].name);
        keys->count++;
    }
    return true;
}

static bool load_checkpoint(struct cli *cli, const struct verify_args *verify, struct checkpoint *ret_checkpoint, struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(CHECKPOINT_MAX);
    CLEANUP(keys_free) struct keys keys = {.count = 0};
    for (size_t i = 0; i < verify->key_files.count; i++)
        if (!add_file(&keys, verify->key_files.items[i], err))
            return false;
    if (verify->keys != NULL && !add_folder(cli, &keys, verify->keys, err))
        return false;
    if (keys.count == 0)
        return err_set(err, ERR_USAGE, "--key or --keys: the audit key's public half is needed");
    if (!cli_local_read(verify->checkpoint, &text, err))
        return false;
    if (!checkpoint_read(text.data, text.len, ret_checkpoint, err)) {
        err->code = ERR_FORMAT;
        return err_prefix(err, "%s", verify->checkpoint);
    }
    return checkpoint_verify(ret_checkpoint, keys.items, keys.count, err) || err_prefix(err, "%s", verify->checkpoint);
}

/* Every whole line of what is read; what follows the last line feed stays. */
static bool take_lines(struct cli_audit_chain *chain, struct buf *held, struct err *err) {
    char *from = held->data;
    size_t left = held->len;
    for (char *end; left > 0 && (end = memchr(from, '\n', left)) != NULL;) {
        if (!cli_audit_chain_line(chain, from, (size_t)(end - from), err))
            return false;
        left -= (size_t)(end + 1 - from);
        from = end + 1;
    }
    if (held->len > 0)
        memmove(held->data, from, left);
    held->len = left;
    return true;
}

static bool walk(struct cli_audit_chain *chain, const char *path, struct err *err) {
    CLEANUP(file_close) int fd = -1;
    CLEANUP(buf_free) struct buf held = BUF_INIT(CLI_AUDIT_LINE_MAX + READ_BYTES);
    char piece[READ_BYTES];
    ssize_t got;
    if (!cli_local_open(path, &fd, err))
        return false;
    while ((got = read(fd, piece, sizeof(piece))) > 0) {
        buf_append(&held, piece, (size_t)got);
        if (!buf_ok(&held, "a line of the export", err) || !take_lines(chain, &held, err))
            return err_prefix(err, "%s", path);
    }
    if (got < 0)
        return err_errno(err, "%s", path);
    if (held.len > 0)
        return err_set(err, ERR_FORMAT, "%s: the last line, behind row %lld, is not whole", path, (long long)chain->last.seq);
    return cli_audit_chain_end(chain, err) || err_prefix(err, "%s", path);
}

bool cli_audit_verify(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct verify_args *verify = args;
    struct checkpoint checkpoint;
    struct cli_audit_chain chain = {.checkpoint = NULL};
    CLEANUP(buf_free) struct buf out = BUF_INIT(4096);
    if (verify->checkpoint == NULL)
        return err_set(err, ERR_USAGE, "--checkpoint is needed: a chain without it could have been made anew from any row on");
    if (!load_checkpoint(cli, verify, &checkpoint, err))
        return false;
    chain.checkpoint = &checkpoint;
    if (!walk(&chain, operands->items[0], err))
        return false;
    char time[CLOCK_RFC3339_SIZE];
    clock_rfc3339(checkpoint.time, time);
    if (cli->json)
        buf_printf(&out, "{\"rows\":%lld,\"covered\":%lld,\"signed\":\"%s\"}\n", (long long)chain.last.seq, (long long)checkpoint.seq, time);
    else
        buf_printf(&out, "genuine: %lld rows, of which %lld are covered by the checkpoint of %s\n", (long long)chain.last.seq,
                   (long long)checkpoint.seq, time);
    return cli_view_write(cli, &out, err);
}
