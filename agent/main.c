/* pawl-agent: the reference device agent. */
#include <string.h>

#include "agent/boot.h"
#include "agent/daemon.h"
#include "agent/enrol.h"
#include "agent/status.h"
#include "common/arena.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/program.h"
#include "common/text.h"

/* A verdict waits for the end of a pass of `pawl-agent run`; while a trial is open that is a short one. */
enum { OUTPUT_MAX = 1 << 20, ARENA_MAX = 16 << 20, LOCK_RETRY_MS = 50, CONFIRM_PATIENCE_MS = 30000 };

static const char default_config[] = "/etc/pawl-agent.conf";

/* What the command line said. */
struct arguments {
    const char *config;
    bool json, failed, help, version, sample;
};

/* A command: what it is called, what it does, which options it knows beside --config and --help. */
struct command {
    const char *name;
    const char *help;
    bool takes_json, takes_failed;
    int (*run)(const struct arguments *arguments, const struct agent_settings *settings);
};

static int fail(const struct err *err) {
    fprintf(stderr, "pawl-agent: %s\n", err->text);
    return program_exit_code(err);
}

static int print(const struct buf *out) {
    struct err err;
    if (!buf_ok(out, "the output", &err))
        return fail(&err);
    (void)fwrite(out->data, 1, out->len, stdout); /* main() asks how it went */
    return EXIT_OK;
}

/* Everything that changes something does it under the lock of the state folder. */
static bool lock(const struct agent_settings *settings, int64_t patience_ms, int *ret_lock, struct err *err) {
    int64_t deadline = clock_mono_ms() + patience_ms;
    agent_daemon_catch_signals();
    log_setup((enum log_level)settings->log_level, (enum log_format)settings->log_format);
    while (!agent_state_lock(settings->state, ret_lock, err)) {
        if (err->code != ERR_BUSY || agent_daemon_stop != 0 || clock_mono_ms() >= deadline)
            return false;
        clock_sleep_ms(LOCK_RETRY_MS);
    }
    return true;
}

static int run_once(UNUSED const struct arguments *arguments, const struct agent_settings *settings) {
    CLEANUP(file_close) int lock_fd = -1;
    CLEANUP(agent_update_close) struct agent agent = {0};
    struct agent_outcome outcome;
    struct err err = {0};
    int64_t retry_after_s;
    if (!lock(settings, 0, &lock_fd, &err) || !agent_update_examine_trust(settings, &err) ||
        !agent_enrol_ensure(settings, &agent_daemon_stop, &retry_after_s, &err) || !agent_update_open(settings, &agent_daemon_stop, &agent, &err))
        return fail(&err);
    if (!agent_update_run(&agent, &outcome, &err)) /* it has said why */
        return program_exit_code(&err);
    return EXIT_OK;
}

static int run_daemon(UNUSED const struct arguments *arguments, const struct agent_settings *settings) {
    CLEANUP(file_close) int lock_fd = -1;
    CLEANUP(agent_update_close) struct agent agent = {0};
    struct err err = {0};
    if (!lock(settings, 0, &lock_fd, &err) || !agent_update_examine_trust(settings, &err))
        return fail(&err);
    if (!agent_daemon_enrol(settings, &lock_fd, &err))
        return agent_daemon_stop != 0 ? EXIT_OK : fail(&err);
    if (!agent_update_open(settings, &agent_daemon_stop, &agent, &err))
        return fail(&err);
    log_event(LOG_INFO, "started", "device", agent.identity.id, "server", settings->server_url, "version", PAWL_VERSION, (char *)NULL);
    agent_daemon_run(&agent, &lock_fd);
    return EXIT_OK;
}

static int run_enrol(UNUSED const struct arguments *arguments, const struct agent_settings *settings) {
    CLEANUP(file_close) int lock_fd = -1;
    CLEANUP(agent_update_close) struct agent agent = {0};
    struct err err = {0};
    int64_t retry_after_s;
    char until[CLOCK_RFC3339_SIZE];
    if (settings->enrolment_url == NULL) {
        (void)err_set(&err, ERR_CONFIG, "[enrolment] url is not set: this device's certificate is the operator's matter");
        return fail(&err);
    }
    if (!lock(settings, 0, &lock_fd, &err) || !agent_update_examine_trust(settings, &err) ||
        !agent_enrol_ensure(settings, &agent_daemon_stop, &retry_after_s, &err) || !agent_update_examine(settings, NULL, &agent, &err))
        return fail(&err);
    clock_rfc3339(agent.identity.not_after, until);
    printf("device %s has its certificate, good until %s\n", agent.identity.id, until);
    return EXIT_OK;
}

static int run_confirm(const struct arguments *arguments, const struct agent_settings *settings) {
    CLEANUP(file_close) int lock_fd = -1;
    CLEANUP(agent_update_close) struct agent agent = {0};
    struct agent_outcome outcome;
    struct err err = {0};
    if (!lock(settings, CONFIRM_PATIENCE_MS, &lock_fd, &err) || !agent_update_open(settings, &agent_daemon_stop, &agent, &err) ||
        !agent_update_confirm(&agent, !arguments->failed, &outcome, &err))
        return fail(&err);
    return EXIT_OK;
}

static int run_status(const struct arguments *arguments, const struct agent_settings *settings) {
    CLEANUP(arena_clear) struct arena arena;
    CLEANUP(buf_free) struct buf out = BUF_INIT(OUTPUT_MAX);
    struct agent_state state;
    struct agent_boot boot;
    struct err err = {0}, unknown;
    arena_init(&arena, ARENA_MAX);
    if (!agent_state_exists(settings->state)) {
        (void)err_set(&err, ERR_IO, "%s: no agent has run with this configuration yet", settings->state);
        return fail(&err);
    }
    if (!agent_state_load(&arena, settings->state, &state, &err))
        return fail(&err);
    bool known = agent_boot_read(settings, &boot, &unknown) && boot.slot_known;
    const char *running = known ? boot.slot : NULL;
    if (!arguments->json)
        agent_status_text(settings, &state, running, &out);
    else if (!agent_status_json(settings, &state, running, &out, &err))
        return fail(&err);
    return print(&out);
}

static int run_check_config(UNUSED const struct arguments *arguments, const struct agent_settings *settings) {
    CLEANUP(agent_update_close) struct agent agent = {0};
    struct agent_boot boot;
    struct err err = {0};
    bool later = agent_enrol_due(settings);
    if (!(later ? agent_update_examine_trust(settings, &err) : agent_update_examine(settings, NULL, &agent, &err)) ||
        !agent_boot_read(settings, &boot, &err))
        return fail(&err);
    printf("configuration is good: device %s%s, product %s, hardware %s, server %s%s%s\n", later ? settings->enrolment_id : agent.identity.id,
           later ? " (not enrolled yet)" : "", settings->product, settings->hardware, settings->server_url, boot.slot_known ? ", running slot " : "",
           boot.slot);
    return EXIT_OK;
}

static const struct command commands[] = {
    {"once", "One pass: report, check, download, install, as far as it goes. Exit status 0 also when there is nothing to do.", false, false,
     run_once},
    {"run", "Pass after pass, as the server's Poll-After says, until SIGTERM.", false, false, run_daemon},
    {"enrol", "Gets the device's certificate (enrolment.url) and keeps it in the state folder; `once` and `run` do so as well.", false, false,
     run_enrol},
    {"status", "What is installed, the floor, what is going on.", true, false, run_status},
    {"confirm", "The verdict of an external self-test after the reboot (hooks.confirm = external): the new release stays.", false, true, run_confirm},
    {"check-config", "Reads configuration, certificate, key, CA and pinned root, and changes nothing.", false, false, run_check_config},
};

static void print_usage(FILE *out) {
    fprintf(out, "Usage: pawl-agent COMMAND [--config FILE] [options]\n"
                 "       pawl-agent --sample-config | --version | --help\n\nCommands:\n");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "  %-14s %s\n", commands[i].name, commands[i].help);
    fprintf(out, "\n`pawl-agent COMMAND --help` shows a command's options.\n"
                 "Exit status: 0 done or nothing to do, 1 failed, 2 command line or configuration, 3 the server refuses, 4 server not reached,\n"
                 "5 a signature, hash, version, expiry or floor does not hold, 6 a local file, 7 the device's key.\n");
}

static int run_command(const struct command *command, int argc, char **argv) {
    struct arguments arguments = {.config = default_config};
    const struct option options[] = {
        {"config", 'c', OPTION_TEXT, &arguments.config, "FILE", "configuration file (default /etc/pawl-agent.conf)"},
        {"help", 'h', OPTION_FLAG, &arguments.help, NULL, "this text"},
        command->takes_json ? (struct option){"json", 0, OPTION_FLAG, &arguments.json, NULL, "print JSON"}
                            : (struct option){"failed", 0, OPTION_FLAG, &arguments.failed, NULL, "the self-test failed: fall back"},
    };
    size_t count = ARRAY_LEN(options) - (command->takes_json || command->takes_failed ? 0 : 1);
    CLEANUP(agent_settings_free) struct agent_settings settings = {0};
    struct option_texts operands;
    struct err err = {0};
    if (!option_parse(options, count, argc, argv, &operands, &err))
        return fail(&err);
    if (arguments.help) {
        printf("Usage: pawl-agent %s [options]\n\n%s\n\n", command->name, command->help);
        option_help(stdout, options, count);
        return EXIT_OK;
    }
    if (operands.count > 0) {
        (void)err_set(&err, ERR_USAGE, "pawl-agent %s takes no '%s'", command->name, operands.items[0]);
        return fail(&err);
    }
    if (!agent_settings_load(arguments.config, &settings, &err)) {
        fprintf(stderr, "pawl-agent: %s\n", err.text);
        return EXIT_USAGE;
    }
    return command->run(&arguments, &settings);
}

/* Without a command: what the program says of itself. */
static int run_general(int argc, char **argv) {
    struct arguments arguments = {0};
    const struct option options[] = {
        {"help", 'h', OPTION_FLAG, &arguments.help, NULL, "this text"},
        {"version", 0, OPTION_FLAG, &arguments.version, NULL, "print the version"},
        {"sample-config", 0, OPTION_FLAG, &arguments.sample, NULL, "print a commented configuration"},
    };
    CLEANUP(buf_free) struct buf out = BUF_INIT(OUTPUT_MAX);
    struct option_texts operands;
    struct err err = {0};
    if (!option_parse(options, ARRAY_LEN(options), argc, argv, &operands, &err))
        return fail(&err);
    if (arguments.sample)
        config_sample(&agent_settings_table, &out);
    else if (arguments.version)
        buf_text(&out, "pawl-agent " PAWL_VERSION "\n");
    else
        print_usage(arguments.help ? stdout : stderr);
    return arguments.help ? EXIT_OK : arguments.sample || arguments.version ? print(&out) : EXIT_USAGE;
}

static int run_program(int argc, char **argv) {
    if (argc < 2 || argv[1][0] == '-')
        return run_general(argc, argv);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (text_equal(argv[1], commands[i].name))
            return run_command(&commands[i], argc - 1, argv + 1);
    fprintf(stderr, "pawl-agent: unknown command '%s' (--help shows them)\n", argv[1]);
    return EXIT_USAGE;
}

int main(int argc, char **argv) {
    program_refuse_core();
    int code = run_program(argc, argv);
    if (code == EXIT_OK && (fflush(stdout) != 0 || ferror(stdout))) {
        fputs("pawl-agent: cannot write the output\n", stderr);
        return EXIT_LOCAL_IO;
    }
    return code;
}
