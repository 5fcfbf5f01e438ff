#include "cli/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/file.h"
#include "common/text.h"
#include "trust/key.h"

/* Reads up to the line end; the line end is not part of it. False at an error, at end of file before any byte, or past the buffer's ceiling. */
static bool read_line(int fd, struct buf *line) {
    char byte;
    ssize_t got;
    while ((got = read(fd, &byte, 1)) == 1 && byte != '\n' && line->failed == ERR_NONE)
        buf_byte(line, byte);
    return (got == 1 || (got == 0 && line->len > 0)) && line->failed == ERR_NONE;
}

bool cli_prompt_confirm(struct cli *cli, const char *question, struct err *err) {
    if (question == NULL)
        return err_no_memory(err);
    if (cli->yes)
        return true;
    if (!cli->can_ask)
        return err_set(err, ERR_USAGE, "there is no terminal to ask on: give --yes to go ahead");
    fprintf(cli->notes, "%s [y/N] ", question);
    fflush(cli->notes);
    CLEANUP(buf_free) struct buf answer = BUF_INIT(16);
    if (!read_line(STDIN_FILENO, &answer))
        return err_set(err, ERR_USAGE, "not confirmed; nothing was changed");
    if (answer.len > 0 && (text_equal(answer.data, "y") || text_equal(answer.data, "Y") || text_equal(answer.data, "yes")))
        return true;
    return err_set(err, ERR_USAGE, "not confirmed; nothing was changed");
}

/* While a passphrase is typed the terminal does not echo. These signals would leave it so: they wait until it echoes again. */
static const int held_signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGTSTP};

static volatile sig_atomic_t caught_signal;

static void catch_signal(int number) {
    caught_signal = number;
}

static bool ask_hidden(int tty, FILE *out, const char *what, const char *prompt, struct buf *ret, struct err *err) {
    struct termios shown;
    if (tcgetattr(tty, &shown) != 0)
        return err_errno(err, "terminal");
    struct termios hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    struct sigaction hold = {.sa_handler = catch_signal};
    struct sigaction before[ARRAY_LEN(held_signals)];
    sigset_t held, mask;
    caught_signal = 0;
    sigemptyset(&held);
    for (size_t i = 0; i < ARRAY_LEN(held_signals); i++)
        sigaddset(&held, held_signals[i]);
    sigprocmask(SIG_BLOCK, &held, &mask); /* they come in ppoll() only: one that comes just before it is not lost */
    for (size_t i = 0; i < ARRAY_LEN(held_signals); i++)
        sigaction(held_signals[i], &hold, &before[i]);
    tcsetattr(tty, TCSAFLUSH, &hidden);
    fprintf(out, "%s %s: ", prompt, what);
    fflush(out);
    struct pollfd typed = {.fd = tty, .events = POLLIN};
    bool read = ppoll(&typed, 1, NULL, &mask) == 1 && read_line(tty, ret);
    tcsetattr(tty, TCSAFLUSH, &shown);
    fputc('\n', out);
    for (size_t i = 0; i < ARRAY_LEN(held_signals); i++)
        sigaction(held_signals[i], &before[i], NULL);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    if (caught_signal != 0)
        raise(caught_signal);
    return read || err_set(err, ERR_PASSPHRASE, "no passphrase was given");
}

static bool ask_terminal(struct cli *cli, const struct cli_passphrase_source *source, const char *what, bool twice, struct buf *ret,
                         struct err *err) {
    CLEANUP(file_close) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0)
        return err_set(err, ERR_USAGE, "no terminal to ask for the passphrase on: give --%s or --%s", source->file_option, source->fd_option);
    if (!ask_hidden(tty, cli->notes, what, "Passphrase for", ret, err))
        return false;
    if (!twice)
        return true;
    CLEANUP(buf_wipe) struct buf again = BUF_INIT(KEY_PASSPHRASE_MAX + 1);
    if (!ask_hidden(tty, cli->notes, what, "Once more, for", &again, err))
        return false;
    if (ret->len != again.len || memcmp(ret->data, again.data, ret->len) != 0)
        return err_set(err, ERR_PASSPHRASE, "the two passphrases differ");
    return true;
}

static bool read_descriptor(const struct cli_passphrase_source *source, struct buf *ret, struct err *err) {
    int64_t fd = 0;
    if (!text_to_int(source->fd, 0, 1 << 20, &fd))
        return err_set(err, ERR_USAGE, "--%s '%s' is not the number of a descriptor", source->fd_option, source->fd);
    return read_line((int)fd, ret) || err_set(err, ERR_PASSPHRASE, "descriptor %s gave no passphrase", source->fd);
}

static bool read_secret_file(const char *path, struct buf *ret, struct err *err) {
    if (!file_read_secret(path, ret, err)) {
        if (err->code == ERR_NOT_FOUND)
            err->code = ERR_IO;
        return false;
    }
    char *line_end = ret->len == 0 ? NULL : memchr(ret->data, '\n', ret->len);
    if (line_end != NULL && line_end + 1 != ret->data + ret->len)
        return err_set(err, ERR_PASSPHRASE, "%s has more than one line", path);
    if (line_end != NULL)
        ret->data[--ret->len] = '\0';
    return true;
}

bool cli_prompt_passphrase(struct cli *cli, const struct cli_passphrase_source *source, const char *what, bool twice, struct buf *ret,
                           struct err *err) {
    if (source->file != NULL && source->fd != NULL)
        return err_set(err, ERR_USAGE, "give --%s or --%s, not both", source->file_option, source->fd_option);
    buf_init(ret, KEY_PASSPHRASE_MAX + 2); /* a line end may follow */
    bool read = source->file != NULL ? read_secret_file(source->file, ret, err)
                : source->fd != NULL ? read_descriptor(source, ret, err)
                                     : ask_terminal(cli, source, what, twice, ret, err);
    if (read && ret->len == 0)
        read = err_set(err, ERR_PASSPHRASE, "the passphrase for %s is empty", what);
    if (read && twice && ret->len < KEY_PASSPHRASE_MIN)
        read = err_set(err, ERR_PASSPHRASE, "the passphrase for %s has %zu bytes; at least %d are needed", what, ret->len, KEY_PASSPHRASE_MIN);
    if (!read)
        buf_wipe(ret);
    return read;
}
