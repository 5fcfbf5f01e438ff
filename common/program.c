#include "common/program.h"

#include <string.h>
#include <sys/resource.h>

#include "common/text.h"

enum { OPTIONS_MAX = 64, HELP_COLUMN = 30 };

static const struct {
    enum err_code code;
    enum program_exit exit;
} exits[] = {
    {ERR_NONE, EXIT_OK},
    {ERR_USAGE, EXIT_USAGE},
    {ERR_CONFIG, EXIT_USAGE},
    {ERR_INVALID, EXIT_REFUSED},
    {ERR_UNKNOWN_FIELD, EXIT_REFUSED},
    {ERR_TOO_LARGE, EXIT_REFUSED},
    {ERR_UNAUTHENTICATED, EXIT_REFUSED},
    {ERR_FORBIDDEN, EXIT_REFUSED},
    {ERR_SCOPE, EXIT_REFUSED},
    {ERR_NOT_FOUND, EXIT_REFUSED},
    {ERR_METHOD, EXIT_REFUSED},
    {ERR_CONFLICT, EXIT_REFUSED},
    {ERR_GONE, EXIT_REFUSED},
    {ERR_PRECONDITION, EXIT_REFUSED},
    {ERR_PRECONDITION_REQUIRED, EXIT_REFUSED},
    {ERR_LENGTH_REQUIRED, EXIT_REFUSED},
    {ERR_MEDIA_TYPE, EXIT_REFUSED},
    {ERR_RANGE, EXIT_REFUSED},
    {ERR_IDEMPOTENCY, EXIT_REFUSED},
    {ERR_RATE, EXIT_REFUSED},
    {ERR_NOT_IMPLEMENTED, EXIT_REFUSED},
    {ERR_DEVICE_PENDING, EXIT_REFUSED},
    {ERR_DEVICE_REVOKED, EXIT_REFUSED},
    {ERR_DEVICE_RETIRED, EXIT_REFUSED},
    {ERR_IDENTITY, EXIT_REFUSED},
    {ERR_NOT_ENTITLED, EXIT_REFUSED},
    {ERR_TIMEOUT, EXIT_UNREACHABLE},
    {ERR_NETWORK, EXIT_UNREACHABLE},
    {ERR_TLS, EXIT_UNREACHABLE},
    {ERR_SLOW, EXIT_UNREACHABLE},
    {ERR_DOWNGRADE, EXIT_TRUST},
    {ERR_FORMAT, EXIT_TRUST},
    {ERR_SIGNATURE, EXIT_TRUST},
    {ERR_THRESHOLD, EXIT_TRUST},
    {ERR_ROLLBACK, EXIT_TRUST},
    {ERR_EXPIRED, EXIT_TRUST},
    {ERR_FREEZE, EXIT_TRUST},
    {ERR_MIX, EXIT_TRUST},
    {ERR_LENGTH, EXIT_TRUST},
    {ERR_HASH, EXIT_TRUST},
    {ERR_TARGET, EXIT_TRUST},
    {ERR_DIRECTIVE, EXIT_TRUST},
    {ERR_HARDWARE, EXIT_TRUST},
    {ERR_STEPPING_STONE, EXIT_TRUST},
    {ERR_DECRYPT, EXIT_TRUST},
    {ERR_IO, EXIT_LOCAL_IO},
    {ERR_NO_SPACE, EXIT_LOCAL_IO},
    {ERR_KEY, EXIT_KEY},
    {ERR_PASSPHRASE, EXIT_KEY},
};

void program_refuse_core(void) {
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none); /* lowering one's own limit is never refused */
}

int program_exit_code(const struct err *err) {
    for (size_t i = 0; i < ARRAY_LEN(exits); i++)
        if (exits[i].code == err->code)
            return (int)exits[i].exit;
    return EXIT_FAILED;
}

/* The walk over the command line. */
struct walk {
    const struct option *options;
    size_t count;
    int argc;
    char **argv;
    int at; /* the argument under consideration */
    bool seen[OPTIONS_MAX];
};

static const struct option *find(const struct walk *walk, const char *name, size_t len, char letter) {
    for (size_t i = 0; i < walk->count; i++) {
        const struct option *option = &walk->options[i];
        if (letter != 0 ? option->letter == letter : strlen(option->name) == len && memcmp(option->name, name, len) == 0)
            return option;
    }
    return NULL;
}

static bool store(struct walk *walk, const struct option *option, const char *value, struct err *err) {
    struct option_texts *texts = option->target;
    bool *seen = &walk->seen[option - walk->options];
    if (*seen && option->kind != OPTION_TEXTS)
        return err_set_field(err, ERR_USAGE, option->name, "option --%s is given twice", option->name);
    *seen = true;
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)option->target = true;
        return true;
    case OPTION_TEXT:
        *(const char **)option->target = value;
        return true;
    case OPTION_INT:
        if (!text_to_int(value, INT64_MIN, INT64_MAX, option->target))
            return err_set_field(err, ERR_USAGE, option->name, "option --%s needs a whole number", option->name);
        return true;
    case OPTION_TEXTS:
        if (texts->count == ARRAY_LEN(texts->items))
            return err_set_field(err, ERR_USAGE, option->name, "option --%s is given more than %zu times", option->name, texts->count);
        texts->items[texts->count++] = value;
        return true;
    }
    return err_set(err, ERR_INTERNAL, "option --%s is of no kind", option->name);
}

/* One argument that begins with a dash, and the value behind it. */
static bool take_option(struct walk *walk, struct err *err) {
    const char *argument = walk->argv[walk->at];
    bool is_long = argument[1] == '-';
    const char *name = argument + 2;
    const char *equals = is_long ? strchr(name, '=') : NULL;
    size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    bool is_letter = !is_long && argument[2] == '\0';
    const struct option *option = is_long || is_letter ? find(walk, name, len, is_letter ? argument[1] : 0) : NULL;
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (option == NULL)
        return err_set(err, ERR_USAGE, "unknown option '%.*s' (--help shows them)", is_long ? (int)len + 2 : 2, argument);
    if (option->kind == OPTION_FLAG && value != NULL)
        return err_set_field(err, ERR_USAGE, option->name, "option --%s takes no value", option->name);
    if (option->kind != OPTION_FLAG && value == NULL) {
        if (walk->at + 1 >= walk->argc)
            return err_set_field(err, ERR_USAGE, option->name, "option --%s needs a value: %s", option->name, option->value);
        value = walk->argv[++walk->at];
    }
    return store(walk, option, value, err);
}

bool option_parse(const struct option *options, size_t count, int argc, char **argv, struct option_texts *ret_operands, struct err *err) {
    struct walk walk = {.options = options, .count = count, .argc = argc, .argv = argv};
    struct option_texts operands = {0};
    bool only_operands = false;
    if (count > OPTIONS_MAX)
        return err_set(err, ERR_INTERNAL, "more than %d options", OPTIONS_MAX);
    for (walk.at = 1; walk.at < argc; walk.at++) {
        const char *argument = argv[walk.at];
        if (!only_operands && strcmp(argument, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && argument[0] == '-' && argument[1] != '\0') {
            if (!take_option(&walk, err))
                return false;
        } else if (operands.count == ARRAY_LEN(operands.items)) {
            return err_set(err, ERR_USAGE, "more than %zu operands", operands.count);
        } else {
            operands.items[operands.count++] = argument;
        }
    }
    *ret_operands = operands;
    return true;
}

void option_help(FILE *out, const struct option *options, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct option *option = &options[i];
        char letter[5] = "    ";
        if (option->letter != 0)
            snprintf(letter, sizeof(letter), "-%c, ", option->letter);
        int used = fprintf(out, "  %s--%s%s%s", letter, option->name, option->value != NULL ? " " : "", option->value != NULL ? option->value : "");
        if (used >= HELP_COLUMN)
            used = fprintf(out, "\n") - 1;
        fprintf(out, "%*s", HELP_COLUMN - used, "");
        for (const char *at = option->help; *at != '\0'; at++) {
            fputc(*at, out);
            if (*at == '\n')
                fprintf(out, "%*s", HELP_COLUMN, "");
        }
        fputc('\n', out);
    }
}
