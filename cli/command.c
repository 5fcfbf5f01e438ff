#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "common/text.h"

/* The options of every command: one table serves the parser and --help. The last row is the program's alone (a release has a --version, too). */
enum { PROGRAM_COUNT = 9, GLOBAL_COUNT = PROGRAM_COUNT - 1, OPTIONS_MAX = 48, USAGE_SIZE = 128 };

struct globals {
    struct cli_profile profile;
    bool json, quiet, yes, help;
    bool version;
};

static void global_options(struct globals *globals, struct option ret_options[PROGRAM_COUNT]) {
    const struct option options[PROGRAM_COUNT] = {
        {"server", 's', OPTION_TEXT, &globals->profile.server, "URL", "administration listener, https://HOST[:PORT]"},
        {"ca", 0, OPTION_TEXT, &globals->profile.ca, "FILE", "PEM file of the only authorities believed for the server's certificate"},
        {"token-file", 0, OPTION_TEXT, &globals->profile.token_file, "FILE", "bearer token, mode 0400 or 0600 (also: PAWL_TOKEN_FILE)"},
        {"profile", 'p', OPTION_TEXT, &globals->profile.name, "NAME", "section of ~/.config/pawl/config that fills in the others [default]"},
        {"json", 'j', OPTION_FLAG, &globals->json, NULL, "print the API's JSON, one document"},
        {"quiet", 'q', OPTION_FLAG, &globals->quiet, NULL, "no progress and no notes on standard error"},
        {"yes", 'y', OPTION_FLAG, &globals->yes, NULL, "do not ask; needed where there is no terminal"},
        {"help", 'h', OPTION_FLAG, &globals->help, NULL, "show this help"},
        {"version", 0, OPTION_FLAG, &globals->version, NULL, "show the version"},
    };
    memcpy(ret_options, options, sizeof(options));
}

size_t cli_global_options(struct option *ret_options) {
    struct globals globals = {0};
    global_options(&globals, ret_options);
    for (size_t i = 0; i < PROGRAM_COUNT; i++)
        ret_options[i].target = NULL;
    return PROGRAM_COUNT;
}

/* The command's own options, landing in args. */
static size_t own_options(const struct cli_command *command, void *args, struct option *ret_options) {
    if (command == NULL || command->options == NULL)
        return 0;
    for (size_t i = 0; i < command->options->count; i++) {
        const struct cli_option *row = &command->options->rows[i];
        void *place = args == NULL ? NULL : (char *)args + row->offset; /* NULL: only for --help */
        ret_options[i] = (struct option){row->name, row->letter, row->kind, place, row->value, row->help};
    }
    return command->options->count;
}

const struct cli_command *cli_command_find(const char *group, const char *verb) {
    for (size_t i = 0; i < cli_command_count; i++)
        if (text_equal(cli_commands[i].group, group) && text_equal(cli_commands[i].verb, verb))
            return &cli_commands[i];
    return NULL;
}

static void help_globals(FILE *out, size_t count) {
    struct globals globals = {0};
    struct option options[PROGRAM_COUNT];
    global_options(&globals, options);
    fputs("\nOptions of every command:\n", out);
    option_help(out, options, count);
}

void cli_help_program(FILE *out) {
    fputs("pawl — keys, releases and devices of a Pawl update server\n\nUsage: pawl GROUP [VERB] [OPERANDS] [OPTIONS]\n\nGroups:\n", out);
    const char *last = NULL;
    for (size_t i = 0; i < cli_command_count; i++) {
        const char *group = cli_commands[i].group;
        if (!text_equal(group, last))
            fprintf(out, "  %-12s  %s\n", group, cli_group_summary(group));
        last = group;
    }
    fputs("\n`pawl GROUP --help` lists the verbs, `pawl GROUP VERB --help` the options.\n", out);
    help_globals(out, PROGRAM_COUNT);
    fputs("\nExit codes: 0 done, 1 failed, 2 usage or configuration, 3 refused by the server, 4 server not reached,\n"
          "5 a signature, hash, version or expiry did not hold, 6 local file, 7 key or passphrase,\n"
          "8 and 9: the rollout that was watched is paused, or stopped.\n",
          out);
}

/* "devices show DEVICE" */
static const char *usage_of(const struct cli_command *command, char text[USAGE_SIZE]) {
    snprintf(text, USAGE_SIZE, "%s%s%s%s%s", command->group, command->verb[0] == '\0' ? "" : " ", command->verb,
             command->operands[0] == '\0' ? "" : " ", command->operands);
    return text;
}

void cli_help_group(FILE *out, const char *group) {
    char usage[USAGE_SIZE];
    size_t widest = 0;
    for (size_t i = 0; i < cli_command_count; i++)
        if (text_equal(cli_commands[i].group, group) && strlen(usage_of(&cli_commands[i], usage)) > widest)
            widest = strlen(usage);
    fprintf(out, "%s: %s\n\n", group, cli_group_summary(group));
    for (size_t i = 0; i < cli_command_count; i++)
        if (text_equal(cli_commands[i].group, group))
            fprintf(out, "  pawl %-*s  %s\n", (int)widest, usage_of(&cli_commands[i], usage), cli_commands[i].summary);
    fprintf(out, "\n`pawl %s VERB --help` lists the options.\n", group);
}

void cli_help_command(FILE *out, const struct cli_command *command) {
    char usage[USAGE_SIZE];
    fprintf(out, "%s\n\nUsage: pawl %s [OPTIONS]\n", command->summary, usage_of(command, usage));
    if (command->detail != NULL)
        fprintf(out, "\n%s\n", command->detail);
    struct option options[OPTIONS_MAX];
    size_t count = own_options(command, NULL, options);
    if (count > 0) {
        fputs("\nOptions:\n", out);
        option_help(out, options, count);
    }
    help_globals(out, GLOBAL_COUNT);
}

void cli_note(const struct cli *cli, const char *format, ...) {
    if (cli->quiet)
        return;
    va_list arguments;
    va_start(arguments, format);
    fputs("pawl: ", cli->notes);
    vfprintf(cli->notes, format, arguments);
    fputc('\n', cli->notes);
    va_end(arguments);
}

bool cli_aside(struct cli *cli, bool (*look)(struct cli *cli, void *context, struct err *err), void *context, struct err *err) {
    const struct arena kept = cli->arena;
    arena_init(&cli->arena, CLI_ARENA_BYTES);
    bool seen = look(cli, context, err);
    arena_clear(&cli->arena);
    cli->arena = kept;
    return seen;
}

/* Where group and verb stand on the command line. They come before the operands; the options of every command may stand anywhere. */
struct words {
    int group; /* index into argv; 0: none */
    int verb;
};

/* True when the word is a global option whose value is the next word. */
static bool takes_next(const struct option *options, const char *word) {
    for (size_t i = 0; i < PROGRAM_COUNT; i++) {
        bool by_name = text_starts(word, "--") && text_equal(word + 2, options[i].name);
        bool by_letter = options[i].letter != 0 && word[1] == options[i].letter && word[2] == '\0';
        if (by_name || by_letter)
            return options[i].kind != OPTION_FLAG;
    }
    return false;
}

static struct words find_words(int argc, char **argv, const struct option *globals) {
    struct words words = {0, 0};
    for (int i = 1; i < argc && words.verb == 0 && !text_equal(argv[i], "--"); i++)
        if (argv[i][0] == '-' && argv[i][1] != '\0')
            i += takes_next(globals, argv[i]) ? 1 : 0;
        else if (words.group == 0)
            words.group = i;
        else
            words.verb = i;
    return words;
}

/* Prepares the run: output, terminal, profile. */
static bool begin(struct cli *cli, const struct globals *globals, struct err *err) {
    bool errors_shown = isatty(STDERR_FILENO) == 1;
    const char *terminal = getenv("TERM");
    bool escapes = terminal != NULL && terminal[0] != '\0' && !text_equal(terminal, "dumb");
    cli->profile = globals->profile;
    cli->json = globals->json;
    cli->quiet = globals->quiet;
    cli->yes = globals->yes;
    cli->out = stdout;
    cli->notes = stderr;
    cli->out_is_terminal = isatty(STDOUT_FILENO) == 1;
    cli->can_ask = errors_shown && isatty(STDIN_FILENO) == 1;
    cli->can_redraw = cli->out_is_terminal && escapes;
    cli->can_show_progress = errors_shown && escapes && !globals->quiet;
    return cli_profile_load(&cli->arena, &cli->profile, err) &&
           (cli->profile.server == NULL || cli_profile_check_server(&cli->arena, cli->profile.server, &cli->profile.server, err));
}

static bool check_operands(const struct cli_command *command, const struct option_texts *operands, struct err *err) {
    char usage[USAGE_SIZE];
    if (operands->count < command->min_operands || operands->count > command->max_operands)
        return err_set(err, ERR_USAGE, "usage: pawl %s [OPTIONS]", usage_of(command, usage));
    for (size_t i = 0; i < operands->count; i++)
        if (operands->items[i][0] == '\0')
            return err_set(err, ERR_USAGE, "operand %zu is empty", i + 1);
    return true;
}

/* Parses what stands behind the command's words and runs it. */
static bool run_command(struct cli *cli, const struct cli_command *command, int argc, char **argv, struct err *err) {
    struct option options[OPTIONS_MAX];
    struct globals globals = {0};
    struct option_texts operands;
    global_options(&globals, options);
    void *args = arena_alloc(&cli->arena, command->options == NULL ? 1 : command->options->size);
    if (args == NULL)
        return err_no_memory(err);
    size_t count = GLOBAL_COUNT + own_options(command, args, options + GLOBAL_COUNT);
    if (!option_parse(options, count, argc, argv, &operands, err))
        return false;
    if (globals.help) {
        cli_help_command(stdout, command);
        return true;
    }
    if (!check_operands(command, &operands, err) || !begin(cli, &globals, err))
        return false;
    return command->run(cli, args, &operands, err);
}

/* No command is named: only --help and --version mean something. */
static bool run_without_command(const char *group, const char *verb, int argc, char **argv, struct err *err) {
    struct option options[PROGRAM_COUNT];
    struct globals globals = {0};
    struct option_texts operands;
    global_options(&globals, options);
    bool parsed = option_parse(options, PROGRAM_COUNT, argc, argv, &operands, err);
    if (!parsed && group == NULL)
        return false;
    if (parsed && globals.version) {
        fputs("pawl " PAWL_VERSION "\n", stdout);
        return true;
    }
    if (group == NULL && parsed && globals.help) {
        cli_help_program(stdout);
        return true;
    }
    if (group == NULL)
        return err_set(err, ERR_USAGE, "no command given (pawl --help shows them)");
    if (cli_group_summary(group) == NULL)
        return err_set(err, ERR_USAGE, "no group '%s' (pawl --help shows them)", group);
    if (parsed && globals.help && verb == NULL) {
        cli_help_group(stdout, group);
        return true;
    }
    if (verb != NULL)
        return err_set(err, ERR_USAGE, "no verb '%s' in group %s (pawl %s --help shows them)", verb, group, group);
    return err_set(err, ERR_USAGE, "group %s needs a verb (pawl %s --help shows them)", group, group);
}

static bool dispatch(struct cli *cli, int argc, char **argv, struct err *err) {
    struct option globals[PROGRAM_COUNT];
    struct globals unused = {0};
    global_options(&unused, globals);
    struct words words = find_words(argc, argv, globals);
    const char *group = words.group == 0 ? NULL : argv[words.group];
    const char *verb = words.verb == 0 ? NULL : argv[words.verb];
    const struct cli_command *command = group == NULL ? NULL : cli_command_find(group, "");
    if (command != NULL)
        words.verb = 0; /* the second word is an operand */
    else if (verb != NULL)
        command = cli_command_find(group, verb);
    if (command == NULL)
        return run_without_command(group, verb, argc, argv, err);
    int kept = 0;
    for (int i = 0; i < argc; i++)
        if (i == 0 || (i != words.group && i != words.verb))
            argv[kept++] = argv[i];
    return run_command(cli, command, kept, argv, err);
}

int cli_run(int argc, char **argv) {
    struct cli cli = {0};
    struct err err = {0};
    arena_init(&cli.arena, CLI_ARENA_BYTES);
    bool done = dispatch(&cli, argc, argv, &err);
    if (done && (fflush(stdout) != 0 || ferror(stdout))) /* help, on a full disk */
        done = err_set(&err, ERR_IO, "cannot write the output");
    cli_client_close(&cli);
    if (!done)
        fprintf(stderr, "pawl: %s\n", err.text);
    arena_clear(&cli.arena);
    return done ? cli.exit_code : program_exit_code(&err);
}
