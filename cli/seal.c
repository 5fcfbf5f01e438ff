/* `pawl seal` and `pawl unseal`: age files, streamed with flat memory. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/groups.h"
#include "cli/local.h"
#include "cli/newfile.h"
#include "cli/sealing.h"
#include "cli/view.h"
#include "common/file.h"
#include "common/text.h"

struct seal_args {
    struct option_texts recipients, recipient_files;
    const char *out;
};

static const struct cli_option seal_options[] = {
    {"recipient", 'r', OPTION_TEXTS, offsetof(struct seal_args, recipients), "RECIPIENT", "who can open it: age1… (repeat for more)"},
    {"recipients-file", 'R', OPTION_TEXTS, offsetof(struct seal_args, recipient_files), "FILE", "the same from a file, one a line"},
    {"out", 'o', OPTION_TEXT, offsetof(struct seal_args, out), "FILE", "write to a new file instead of standard output"},
};
const struct cli_options cli_seal_options = CLI_OPTIONS(struct seal_args, seal_options);

struct unseal_args {
    const char *identity, *out;
};

static const struct cli_option unseal_options[] = {
    {"identity", 'i', OPTION_TEXT, offsetof(struct unseal_args, identity), "FILE", "identities that may open it, mode 0400 or 0600"},
    {"out", 'o', OPTION_TEXT, offsetof(struct unseal_args, out), "FILE", "write to a new file; without it standard output gets what may prove false"},
};
const struct cli_options cli_unseal_options = CLI_OPTIONS(struct unseal_args, unseal_options);

/* Where the bytes go: standard output, or a new file. */
struct output {
    struct cli_newfile file;
    int fd;
};

static void drop_output(struct output *output) {
    cli_newfile_drop(&output->file);
}

static bool open_output(struct cli *cli, const char *path, mode_t mode, struct output *ret_output, struct err *err) {
    if (path == NULL && cli->out_is_terminal)
        return err_set(err, ERR_USAGE, "standard output is a terminal: give --out FILE");
    if (path != NULL && !cli_newfile_open(&cli->arena, path, mode, &ret_output->file, err))
        return false;
    ret_output->fd = path != NULL ? ret_output->file.fd : STDOUT_FILENO;
    return true;
}

static bool keep_output(struct output *output, struct err *err) {
    return output->file.path == NULL || cli_newfile_keep(&output->file, err);
}

static bool open_input(const struct option_texts *operands, int *ret_fd, struct err *err) {
    if (operands->count == 0 || text_equal(operands->items[0], "-")) {
        *ret_fd = dup(STDIN_FILENO);
        return *ret_fd >= 0 || err_errno(err, "standard input");
    }
    return cli_local_open(operands->items[0], ret_fd, err);
}

bool cli_seal_file(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct seal_args *seal = args;
    struct seal_recipients recipients;
    CLEANUP(file_close) int in = -1;
    CLEANUP(drop_output) struct output out = {.file = {.fd = -1}};
    if (!cli_sealing_recipients(&seal->recipients, &seal->recipient_files, &recipients, err) || !open_input(operands, &in, err) ||
        !open_output(cli, seal->out, 0666, &out, err))
        return false;
    const struct seal_source source = {.read = cli_sealing_read, .context = &in};
    const struct seal_sink sink = {.write = cli_sealing_write, .context = &out.fd};
    return seal_seal(&recipients, &source, &sink, err) && keep_output(&out, err);
}

bool cli_seal_open(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct unseal_args *unseal = args;
    CLEANUP(seal_identities_wipe) struct seal_identities identities = {0};
    CLEANUP(file_close) int in = -1;
    CLEANUP(drop_output) struct output out = {.file = {.fd = -1}};
    if (unseal->identity == NULL)
        return err_set(err, ERR_USAGE, "open with what? give --identity FILE");
    if (!seal_identities_read(unseal->identity, &identities, err)) {
        err->code = err->code == ERR_NOT_FOUND ? ERR_KEY : err->code;
        return false;
    }
    if (!open_input(operands, &in, err) || !open_output(cli, unseal->out, 0600, &out, err))
        return false;
    const struct seal_source source = {.read = cli_sealing_read, .context = &in};
    const struct seal_sink sink = {.write = cli_sealing_write, .context = &out.fd};
    return seal_open(&identities, &source, &sink, err) && keep_output(&out, err);
}

/* An age identity file, as age-keygen writes it. */
bool cli_seal_identity(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    CLEANUP(seal_identities_wipe) struct seal_identities made = {.count = 1};
    struct seal_recipient recipient;
    char public[SEAL_TEXT_SIZE];
    char secret[SEAL_TEXT_SIZE];
    if (!seal_identity_generate(&made.items[0], err) || !seal_identity_recipient(&made.items[0], &recipient, err))
        return false;
    seal_recipient_text(&recipient, public);
    seal_identity_text(&made.items[0], secret);
    CLEANUP(buf_wipe) struct buf text = BUF_INIT(1024);
    buf_printf(&text, "# public key: %s\n%s\n", public, secret);
    explicit_bzero(secret, sizeof(secret));
    if (!buf_ok(&text, "identity", err))
        return false;
    if (!cli_local_write_new(operands->items[0], text.data, text.len, 0400, err))
        return false;
    CLEANUP(buf_free) struct buf out = BUF_INIT(SEAL_TEXT_SIZE + 1);
    buf_printf(&out, "%s\n", public);
    return cli_view_write(cli, &out, err);
}
