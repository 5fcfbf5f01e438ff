#include "agent/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"

enum { ARENA_MAX = 65536, TICK_MS = 20, KILL_AFTER_MS = 2000, CHUNK_BYTES = 1024, PIPE_BYTES = 65536 };

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n';
}

/* Copies one word to *out and returns what follows it; NULL when a quote is not closed. */
static const char *take_word(const char *at, char **out) {
    while (*at != '\0' && !is_blank(*at)) {
        if (*at != '\'' && *at != '"') {
            *(*out)++ = *at++;
            continue;
        }
        const char *end = strchr(at + 1, *at);
        if (end == NULL)
            return NULL;
        memcpy(*out, at + 1, (size_t)(end - at - 1));
        *out += end - at - 1;
        at = end + 1;
    }
    *(*out)++ = '\0';
    return at;
}

bool agent_hook_split(struct arena *arena, const char *command, char ***ret_argv, struct err *err) {
    char **argv = arena_array(arena, AGENT_HOOK_ARGS_MAX + 1, sizeof(*argv));
    char *out = arena_alloc(arena, strlen(command) + 1);
    if (argv == NULL || out == NULL)
        return err_no_memory(err);
    size_t count = 0;
    for (const char *at = command; *at != '\0';) {
        if (is_blank(*at)) {
            at++;
            continue;
        }
        if (count >= AGENT_HOOK_ARGS_MAX)
            return err_set(err, ERR_CONFIG, "command '%.64s…' has more than %d words", command, AGENT_HOOK_ARGS_MAX);
        argv[count++] = out;
        at = take_word(at, &out);
        if (at == NULL)
            return err_set(err, ERR_CONFIG, "command '%s' has a quote that is not closed", command);
    }
    if (count == 0)
        return err_set(err, ERR_CONFIG, "a command is empty");
    *ret_argv = argv;
    return true;
}

static bool make_environment(struct arena *arena, const struct agent_hook *hook, char ***ret_envp, struct err *err) {
    char **envp = arena_array(arena, AGENT_HOOK_ENV_MAX + 2, sizeof(*envp));
    if (envp == NULL || hook->env_count > AGENT_HOOK_ENV_MAX)
        return err_no_memory(err);
    size_t count = 0;
    const char *path = getenv("PATH");
    envp[count++] = arena_printf(arena, "PATH=%s", path != NULL ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
    for (size_t i = 0; i < hook->env_count; i++)
        if (hook->env[i].value != NULL)
            envp[count++] = arena_printf(arena, "%s=%s", hook->env[i].name, hook->env[i].value);
    for (size_t i = 0; i < count; i++)
        if (envp[i] == NULL)
            return err_no_memory(err);
    *ret_envp = envp;
    return true;
}

/* A process group of its own (so that all of it can be killed), no descriptors of ours, default signals, nothing to read. */
static int spawn(pid_t *ret_pid, char **argv, char **envp, int output_fd) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed != 0)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (failed == 0) {
        const int steps[] = {
            posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0),
            posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO),
            posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1),
            posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF),
            posix_spawnattr_setpgroup(&attributes, 0),
            posix_spawnattr_setsigmask(&attributes, &none),
            posix_spawnattr_setsigdefault(&attributes, &all),
        };
        for (size_t i = 0; i < ARRAY_LEN(steps) && failed == 0; i++)
            failed = steps[i];
        if (failed == 0)
            failed = posix_spawnp(ret_pid, argv[0], &actions, &attributes, argv, envp);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

/* Reads what there is, at most until `tick_ms` are over; closes *fd at the end. */
static void drain(int *fd, struct buf *output, int tick_ms) {
    struct pollfd waiting = {.fd = *fd, .events = POLLIN}; /* a descriptor of −1 only waits */
    if (poll(&waiting, 1, tick_ms) <= 0 || *fd < 0)
        return;
    char chunk[CHUNK_BYTES];
    ssize_t got = read(*fd, chunk, sizeof(chunk));
    if (got <= 0) {
        file_close(fd);
        *fd = -1;
        return;
    }
    size_t room = output != NULL ? output->max - output->len : 0;
    if (room > 0)
        buf_append(output, chunk, (size_t)got < room ? (size_t)got : room);
}

static bool judge(const char *what, int status, struct err *err) {
    if (WIFSIGNALED(status))
        return err_set(err, ERR_INSTALL, "%s was ended by signal %d", what, WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return err_set(err, ERR_INSTALL, "%s said no: exit status %d", what, WEXITSTATUS(status));
    return true;
}

static bool wait_for(const struct agent_hook *hook, pid_t pid, int *fd, struct buf *output, struct err *err) {
    int64_t deadline = clock_mono_ms() + hook->timeout_s * 1000;
    int signal_sent = 0;
    for (;;) {
        int status = 0;
        pid_t ended = waitpid(pid, &status, WNOHANG);
        if (ended == pid) {
            /* More than the pipe holds was written after the end, by a process that was left behind. */
            for (int i = 0; i < PIPE_BYTES / CHUNK_BYTES && *fd >= 0 && poll(&(struct pollfd){.fd = *fd, .events = POLLIN}, 1, 0) > 0; i++)
                drain(fd, output, 0);
            if (signal_sent != 0)
                return err_set(err, ERR_TIMEOUT, "%s took longer than %lld s and was killed", hook->what, (long long)hook->timeout_s);
            return judge(hook->what, status, err);
        }
        if (ended < 0 && errno != EINTR)
            return err_errno(err, "%s: cannot be waited for", hook->what);
        if (clock_mono_ms() >= deadline) {
            signal_sent = signal_sent == 0 ? SIGTERM : SIGKILL;
            kill(-pid, signal_sent);
            deadline = clock_mono_ms() + KILL_AFTER_MS;
        }
        drain(fd, output, TICK_MS);
    }
}

bool agent_hook_run(const struct agent_hook *hook, struct buf *output, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, ARENA_MAX);
    char **argv = NULL, **envp = NULL;
    if (!agent_hook_split(&arena, hook->command, &argv, err) || !make_environment(&arena, hook, &envp, err))
        return err_prefix(err, "%s", hook->what);
    if (hook->last != NULL) {
        size_t count = 0;
        while (argv[count] != NULL)
            count++;
        if (count >= AGENT_HOOK_ARGS_MAX)
            return err_set(err, ERR_CONFIG, "%s: too many words", hook->what);
        argv[count] = arena_strdup(&arena, hook->last);
        if (argv[count] == NULL)
            return err_no_memory(err);
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(err, "%s: no pipe", hook->what);
    pid_t pid = -1;
    int failed = spawn(&pid, argv, envp, ends[1]);
    close(ends[1]);
    bool ok;
    if (failed != 0)
        ok = err_set(err, ERR_INSTALL, "%s: '%s' cannot be started: %s", hook->what, argv[0], strerror(failed));
    else
        ok = wait_for(hook, pid, &ends[0], output, err);
    file_close(&ends[0]);
    return ok;
}
