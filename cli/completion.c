/* pawl completion: a script for bash, zsh or fish, written from the command table. */
#include <string.h>

#include "cli/groups.h"
#include "cli/view.h"
#include "common/text.h"

enum { SCRIPT_MAX = 512 * 1024, GLOBALS_MAX = 16 };

/* What stands for a value in --help says what it is completed with. */
enum value_kind { VALUE_OTHER, VALUE_FILE, VALUE_FOLDER };

static enum value_kind kind_of(const char *value) {
    static const char *const files[] = {"FILE", "IMAGE", "BUNDLE", "OUT", "IDENTITY", "EXPORT"};
    if (value == NULL)
        return VALUE_OTHER;
    if (strstr(value, "DIR") != NULL)
        return VALUE_FOLDER;
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (strstr(value, files[i]) != NULL)
            return VALUE_FILE;
    return VALUE_OTHER;
}

/* True for the first row of its group. */
static bool is_first(size_t index) {
    return index == 0 || !text_equal(cli_commands[index - 1].group, cli_commands[index].group);
}

static bool has_verbs(const struct cli_command *command) {
    return command->verb[0] != '\0';
}

/* For each option of a command, or of every command (NULL). */
typedef void (*option_visit)(const struct cli_command *command, const struct option *option, struct buf *out);

static void each_option(const struct cli_command *command, option_visit visit, struct buf *out) {
    if (command == NULL) {
        struct option globals[GLOBALS_MAX];
        size_t count = cli_global_options(globals);
        for (size_t i = 0; i < count; i++)
            visit(NULL, &globals[i], out);
        return;
    }
    for (size_t i = 0; command->options != NULL && i < command->options->count; i++) {
        const struct cli_option *row = &command->options->rows[i];
        const struct option option = {row->name, row->letter, row->kind, NULL, row->value, row->help};
        visit(command, &option, out);
    }
}

static void put_words(const struct option *option, struct buf *out) {
    buf_printf(out, " --%s", option->name);
    if (option->letter != 0)
        buf_printf(out, " -%c", option->letter);
}

static void put_any(const struct cli_command *command UNUSED, const struct option *option, struct buf *out) {
    put_words(option, out);
}

static void put_file(const struct cli_command *command UNUSED, const struct option *option, struct buf *out) {
    if (kind_of(option->value) == VALUE_FILE)
        put_words(option, out);
}

static void put_folder(const struct cli_command *command UNUSED, const struct option *option, struct buf *out) {
    if (kind_of(option->value) == VALUE_FOLDER)
        put_words(option, out);
}

static void put_other(const struct cli_command *command UNUSED, const struct option *option, struct buf *out) {
    if (option->kind != OPTION_FLAG && kind_of(option->value) == VALUE_OTHER)
        put_words(option, out);
}

/* The four lists of a command, as bash and zsh read them. */
static void put_lists(const struct cli_command *command, struct buf *out) {
    static const struct {
        const char *name;
        option_visit visit;
    } lists[] = {{"options", put_any}, {"files", put_file}, {"folders", put_folder}, {"values", put_other}};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        buf_printf(out, " %s+='", lists[i].name);
        each_option(command, lists[i].visit, out);
        buf_text(out, " '");
    }
    if (command != NULL)
        buf_printf(out, " operands='%s'",
                   kind_of(command->operands) == VALUE_FOLDER ? "folders"
                   : kind_of(command->operands) == VALUE_FILE ? "files"
                                                              : "");
}

/* Shared by bash and zsh: which command stands on the line, and its lists. Needs `words` (without the program) and sets group and verb. */
static void put_shell_tables(struct buf *out) {
    buf_text(out, "    case $group in\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        if (!is_first(i))
            continue;
        buf_printf(out, "    %s) verbs='", cli_commands[i].group);
        for (size_t k = i; k < cli_command_count && (k == i || !is_first(k)); k++)
            buf_printf(out, "%s%s", k == i ? "" : " ", cli_commands[k].verb);
        buf_text(out, "' ;;\n");
    }
    buf_text(out, "    esac\n    [ -n \"$verbs\" ] || verb=\n    case \"$group $verb\" in\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        buf_printf(out, "    '%s %s')", cli_commands[i].group, cli_commands[i].verb);
        put_lists(&cli_commands[i], out);
        buf_text(out, " ;;\n");
    }
    buf_text(out, "    esac\n");
}

static void put_groups(struct buf *out) {
    for (size_t i = 0; i < cli_command_count; i++)
        if (is_first(i))
            buf_printf(out, " %s", cli_commands[i].group);
}

/* How bash and zsh differ where they do the same. */
struct shell {
    const char *current, *previous; /* words on the line */
    const char *words, *count;      /* all of them, from the program on */
};

/* Which command stands on the line (group, verb), its lists, and in $kind what the word before wants; returns when that is any other value. */
static void put_analysis(const struct shell *shell, struct buf *out) {
    buf_printf(out, "    local i word group= verb= verbs= options= files= folders= values= operands= kind=\n    local cur=%s prev=%s\n   ",
               shell->current, shell->previous);
    put_lists(NULL, out);
    buf_printf(out,
               "\n    for ((i = 1; i < %s; i++)); do\n"
               "        word=${%s[i]}\n"
               "        if [[ \" $files $folders $values \" == *\" $word \"* ]]; then\n"
               "            ((i++))\n"
               "        elif [[ $word != -* && -z $group ]]; then\n"
               "            group=$word\n"
               "        elif [[ $word != -* && -z $verb ]]; then\n"
               "            verb=$word\n"
               "        fi\n"
               "    done\n",
               shell->count, shell->words);
    put_shell_tables(out);
    buf_text(out, "    [[ \" $files \" != *\" $prev \"* ]] || kind=files\n    [[ \" $folders \" != *\" $prev \"* ]] || kind=folders\n"
                  "    [[ \" $values \" != *\" $prev \"* ]] || return 0\n");
}

static void write_bash(struct buf *out) {
    static const struct shell bash = {"${COMP_WORDS[COMP_CWORD]}", "${COMP_WORDS[COMP_CWORD-1]}", "COMP_WORDS", "COMP_CWORD"};
    buf_text(out,
             "# bash completion of pawl: source it, or put it into ~/.local/share/bash-completion/completions/pawl\n_pawl() {\n    COMPREPLY=()\n");
    put_analysis(&bash, out);
    buf_text(out, "    if [[ -z $kind && $cur == -* ]]; then\n"
                  "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n        return 0\n    fi\n    if [[ -z $kind && -z $group ]]; then\n"
                  "        COMPREPLY=($(compgen -W '");
    put_groups(out);
    buf_text(out, "' -- \"$cur\"))\n        return 0\n    fi\n    if [[ -z $kind && -n ${verbs// /} && -z $verb ]]; then\n"
                  "        COMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\"))\n        return 0\n    fi\n    compopt -o filenames 2>/dev/null\n"
                  "    case ${kind:-$operands} in\n    files) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
                  "    folders) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n    esac\n}\ncomplete -F _pawl pawl\n");
}

/* In single quotes of any of the shells. */
static void put_quoted(const char *text, struct buf *out) {
    for (; *text != '\0'; text++)
        if (*text == '\'')
            buf_text(out, "’");
        else
            buf_byte(out, *text);
}

static void write_zsh(struct buf *out) {
    static const struct shell zsh = {"${words[CURRENT-1]}", "${words[CURRENT-2]}", "words", "CURRENT - 1"};
    buf_text(out, "#compdef pawl\n# zsh completion of pawl: put it into a folder of $fpath as _pawl\n_pawl() {\n    setopt localoptions ksharrays\n");
    put_analysis(&zsh, out);
    buf_text(out, "    unsetopt ksharrays\n    if [[ -z $kind && $cur == -* ]]; then\n"
                  "        compadd -- ${=options}\n    elif [[ -z $kind && -z $group ]]; then\n        local -a groups=(\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        if (!is_first(i))
            continue;
        buf_printf(out, "            '%s:", cli_commands[i].group);
        put_quoted(cli_group_summary(cli_commands[i].group), out);
        buf_text(out, "'\n");
    }
    buf_text(out, "        )\n        _describe group groups\n    elif [[ -z $kind && -n ${verbs// /} && -z $verb ]]; then\n        compadd -- "
                  "${=verbs}\n    else\n"
                  "        case ${kind:-$operands} in\n        files) _files ;;\n        folders) _files -/ ;;\n        esac\n    fi\n}\n"
                  "if [[ ${funcstack[1]:-} == _pawl ]]; then\n    _pawl \"$@\"\nelse\n    compdef _pawl pawl\nfi\n");
}

static void fish_option(const struct cli_command *command, const struct option *option, struct buf *out) {
    buf_text(out, "complete -c pawl");
    if (command != NULL)
        buf_printf(out, " -n '__pawl_at %s %s'", command->group, command->verb);
    buf_printf(out, " -l %s", option->name);
    if (option->letter != 0)
        buf_printf(out, " -s %c", option->letter);
    if (option->kind != OPTION_FLAG)
        buf_text(out, kind_of(option->value) == VALUE_FILE     ? " -rF"
                      : kind_of(option->value) == VALUE_FOLDER ? " -xa '(__fish_complete_directories)'"
                                                               : " -x");
    buf_text(out, " -d '");
    put_quoted(option->help, out);
    buf_text(out, "'\n");
}

static void write_fish(struct buf *out) {
    buf_text(out, "# fish completion of pawl: put it into ~/.config/fish/completions/pawl.fish\n"
                  "function __pawl_words\n    set -l words\n    set -l skip 0\n    for word in (commandline -opc)[2..-1]\n        if test $skip = 1\n"
                  "            set skip 0\n        else if contains -- $word");
    each_option(NULL, put_file, out);
    each_option(NULL, put_folder, out);
    each_option(NULL, put_other, out);
    buf_text(out,
             "\n            set skip 1\n        else if not string match -q -- '-*' $word\n            set -a words $word\n        end\n    end\n"
             "    printf '%s\\n' $words\nend\n"
             "function __pawl_at\n    set -l words (__pawl_words)\n    set -l count (count $argv)\n    test (count $words) -ge $count; or return 1\n"
             "    test \"$words[1..$count]\" = \"$argv\"\nend\n"
             "function __pawl_only\n    test \"$(__pawl_words)\" = \"$argv\"\nend\ncomplete -c pawl -f\n");
    each_option(NULL, fish_option, out);
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *command = &cli_commands[i];
        if (is_first(i)) {
            buf_printf(out, "complete -c pawl -n '__pawl_only' -a %s -d '", command->group);
            put_quoted(cli_group_summary(command->group), out);
            buf_text(out, "'\n");
        }
        if (has_verbs(command)) {
            buf_printf(out, "complete -c pawl -n '__pawl_only %s' -a %s -d '", command->group, command->verb);
            put_quoted(command->summary, out);
            buf_text(out, "'\n");
        }
        if (kind_of(command->operands) != VALUE_OTHER)
            buf_printf(out, "complete -c pawl -n '__pawl_at %s %s' %s\n", command->group, command->verb,
                       kind_of(command->operands) == VALUE_FILE ? "-F" : "-a '(__fish_complete_directories)'");
        each_option(command, fish_option, out);
    }
}

bool cli_completion_write(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    static const struct {
        const char *shell;
        void (*write)(struct buf *out);
    } shells[] = {{"bash", write_bash}, {"zsh", write_zsh}, {"fish", write_fish}};
    CLEANUP(buf_free) struct buf out = BUF_INIT(SCRIPT_MAX);
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        if (!text_equal(operands->items[0], shells[i].shell))
            continue;
        shells[i].write(&out);
        return buf_ok(&out, "the script", err) && cli_view_write(cli, &out, err);
    }
    return err_set(err, ERR_USAGE, "no completion for '%s': bash, zsh or fish", operands->items[0]);
}
