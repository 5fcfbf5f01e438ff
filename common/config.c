#include "common/config.h"

#include <ctype.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/text.h"

enum { FILE_MAX = 64 * 1024, NAME_MAX_BYTES = 128 };

extern char **environ;

/* One key on its way from text to the struct. */
struct entry {
    char *text; /* as found; NULL: nowhere */
    int line;   /* in the file; 0: fallback or environment */
    bool from_environment;
    int64_t number; /* after parsing: INT, SIZE, DURATION, BOOL, CHOICE */
};

/* The whole load. */
struct load {
    const struct config_table *table;
    const char *name; /* of the file, for messages; NULL: none */
    struct entry *entries;
    const char *rest; /* of the file, for the line reader */
    size_t rest_len;
    int line;
    bool failed;
    struct err *err;
};

static void free_entries(struct load *load) {
    for (size_t i = 0; load->entries != NULL && i < load->table->count; i++)
        free(load->entries[i].text);
    free(load->entries);
    load->entries = NULL;
}

static bool fail_line(struct load *load, const char *fault, const char *name) {
    load->failed = true;
    return err_set(load->err, ERR_CONFIG, "%s line %d: %s%s%s%s", load->name, load->line, fault, name[0] != '\0' ? " '" : "", name,
                   name[0] != '\0' ? "'" : "");
}

static bool has_section(const struct config_table *table, const char *section, size_t len) {
    for (size_t i = 0; i < table->count; i++)
        if (strlen(table->keys[i].section) == len && memcmp(table->keys[i].section, section, len) == 0)
            return true;
    return false;
}

/* libinih says nothing of a section without keys and goes on behind a broken head, so the heads are looked at here. */
static bool check_head(struct load *load, const char *line) {
    line += strspn(line, " \t");
    if (line[0] != '[')
        return true;
    size_t len = strcspn(line + 1, "]");
    if (line[1 + len] == '\0')
        return fail_line(load, "a section head without \"]\"", "");
    if (has_section(load->table, line + 1, len))
        return true;
    char name[NAME_MAX_BYTES];
    snprintf(name, sizeof(name), "%.*s", (int)len, line + 1);
    return fail_line(load, "unknown section", name);
}

/* fgets() over memory for libinih, which would silently cut a long line in two. */
static char *read_line(char *ret_line, int size, void *stream) {
    struct load *load = stream;
    if (load->failed || load->rest_len == 0)
        return NULL;
    const char *end = memchr(load->rest, '\n', load->rest_len);
    size_t len = end == NULL ? load->rest_len : (size_t)(end - load->rest) + 1;
    load->line++;
    if (len >= (size_t)size || memchr(load->rest, '\0', len) != NULL) {
        fail_line(load, len >= (size_t)size ? "the line is too long" : "the line contains a NUL byte", "");
        return NULL;
    }
    memcpy(ret_line, load->rest, len);
    ret_line[len] = '\0';
    load->rest += len;
    load->rest_len -= len;
    return check_head(load, ret_line) ? ret_line : NULL;
}

/* Called by libinih for each "key = value"; 0 is an error. */
static int take_pair(void *user, const char *section, const char *name, const char *value) {
    struct load *load = user;
    for (size_t i = 0; !load->failed && i < load->table->count; i++) {
        const struct config_key *key = &load->table->keys[i];
        struct entry *entry = &load->entries[i];
        if (strcmp(key->section, section) != 0 || strcmp(key->name, name) != 0)
            continue;
        if (entry->text != NULL)
            return fail_line(load, "key given twice (or continued on a second line):", name);
        entry->text = strdup(value);
        entry->line = load->line;
        if (entry->text == NULL) {
            load->failed = true;
            return err_no_memory(load->err);
        }
        return 1;
    }
    if (!load->failed)
        fail_line(load, section[0] == '\0' ? "key outside a section:" : "unknown key", name);
    return 0;
}

static bool read_text(struct load *load, const char *text, size_t len) {
    load->rest = text;
    load->rest_len = len;
    int line = ini_parse_stream(read_line, load, take_pair, load);
    if (load->failed)
        return false;
    if (line < 0)
        return err_no_memory(load->err);
    if (line > 0) {
        load->line = line;
        return fail_line(load, "neither \"[section]\" nor \"key = value\"", "");
    }
    return true;
}

/* "PAWL_LISTEN_PORT". */
static void variable_name(const struct config_table *table, const struct config_key *key, char ret_name[NAME_MAX_BYTES]) {
    snprintf(ret_name, NAME_MAX_BYTES, "%s%s_%s", table->env_prefix, key->section, key->name);
    for (char *at = ret_name; *at != '\0'; at++)
        *at = (char)toupper((unsigned char)*at);
}

static bool take_variable(struct load *load, const char *variable) {
    const char *value = strchr(variable, '=');
    for (size_t i = 0; value != NULL && i < load->table->count; i++) {
        char name[NAME_MAX_BYTES];
        struct entry *entry = &load->entries[i];
        variable_name(load->table, &load->table->keys[i], name);
        if (strlen(name) != (size_t)(value - variable) || memcmp(name, variable, strlen(name)) != 0)
            continue;
        char *copy = strdup(value + 1);
        if (copy == NULL)
            return err_no_memory(load->err);
        free(entry->text);
        *entry = (struct entry){.text = copy, .from_environment = true};
        return true;
    }
    return err_set(load->err, ERR_CONFIG, "environment: %.*s is no key of %s", value == NULL ? 0 : (int)(value - variable), variable,
                   load->table->program);
}

static bool is_foreign(const struct config_table *table, const char *variable) {
    for (const char *const *at = table->env_foreign; at != NULL && *at != NULL; at++)
        if (text_starts(variable, *at))
            return true;
    return false;
}

static bool read_environment(struct load *load) {
    const char *prefix = load->table->env_prefix;
    for (char **variable = environ; prefix != NULL && variable != NULL && *variable != NULL; variable++)
        if (text_starts(*variable, prefix) && !is_foreign(load->table, *variable) && !take_variable(load, *variable))
            return false;
    return true;
}

static bool parse_bool(const char *text, int64_t *ret_value) {
    static const struct {
        const char *text;
        bool value;
    } words[] = {{"yes", true}, {"true", true}, {"on", true}, {"no", false}, {"false", false}, {"off", false}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(words[i].text, text) == 0) {
            *ret_value = words[i].value;
            return true;
        }
    }
    return false;
}

static bool parse_choice(const struct config_key *key, const char *text, int64_t *ret_value) {
    for (int i = 0; key->choices[i] != NULL; i++) {
        if (strcmp(key->choices[i], text) == 0) {
            *ret_value = i;
            return true;
        }
    }
    return false;
}

static bool parse_number(const struct config_key *key, const char *text, int64_t *ret_value) {
    bool parsed = key->type == CONFIG_INT    ? text_to_int(text, INT64_MIN, INT64_MAX, ret_value)
                  : key->type == CONFIG_SIZE ? text_to_size(text, ret_value)
                                             : text_to_duration(text, ret_value);
    return parsed && ((key->min == 0 && key->max == 0) || (*ret_value >= key->min && *ret_value <= key->max));
}

static bool parse_value(const struct config_key *key, const char *text, int64_t *ret_value) {
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_PATH:
        return text_is_printable(text);
    case CONFIG_INT:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        return parse_number(key, text, ret_value);
    case CONFIG_BOOL:
        return parse_bool(text, ret_value);
    case CONFIG_CHOICE:
        return parse_choice(key, text, ret_value);
    }
    return false;
}

/* "16k" again: the largest unit that divides the number. */
static void print_number(enum config_type type, int64_t number, struct buf *out) {
    static const struct {
        enum config_type type;
        int64_t factor;
        char unit;
    } units[] = {
        {CONFIG_SIZE, INT64_C(1) << 40, 'T'}, {CONFIG_SIZE, INT64_C(1) << 30, 'G'},
        {CONFIG_SIZE, INT64_C(1) << 20, 'M'}, {CONFIG_SIZE, INT64_C(1) << 10, 'k'},
        {CONFIG_DURATION, 86400, 'd'},        {CONFIG_DURATION, 3600, 'h'},
        {CONFIG_DURATION, 60, 'm'},           {CONFIG_DURATION, 1, 's'},
    };
    for (size_t i = 0; number != 0 && i < ARRAY_LEN(units); i++) {
        if (units[i].type == type && number % units[i].factor == 0) {
            buf_printf(out, "%lld%c", (long long)(number / units[i].factor), units[i].unit);
            return;
        }
    }
    buf_printf(out, "%lld", (long long)number);
}

/* What a value may be: "duration from 1s to 1d". */
static void describe_type(const struct config_key *key, struct buf *out) {
    static const char *const names[] = {
        [CONFIG_TEXT] = "text", [CONFIG_PATH] = "path",         [CONFIG_INT] = "number",
        [CONFIG_SIZE] = "size", [CONFIG_DURATION] = "duration", [CONFIG_BOOL] = "yes or no",
    };
    if (key->type == CONFIG_CHOICE) {
        buf_text(out, "one of");
        for (size_t i = 0; key->choices[i] != NULL; i++)
            buf_printf(out, "%s %s", i > 0 ? "," : "", key->choices[i]);
        return;
    }
    buf_text(out, names[key->type]);
    if (key->min != 0 || key->max != 0) {
        buf_text(out, " from ");
        print_number(key->type, key->min, out);
        buf_text(out, " to ");
        print_number(key->type, key->max, out);
    }
}

/* "/etc/pawl/pawld.conf line 7: [listen] port …", or the variable, or the default. A secret value is not repeated. */
static bool fail_value(struct load *load, size_t index, const char *fault) {
    const struct config_key *key = &load->table->keys[index];
    const struct entry *entry = &load->entries[index];
    char place[ERR_TEXT_SIZE / 2] = "default";
    char variable[NAME_MAX_BYTES];
    if (entry->from_environment) {
        variable_name(load->table, key, variable);
        snprintf(place, sizeof(place), "environment %s", variable);
    } else if (entry->line > 0) {
        snprintf(place, sizeof(place), "%s line %d", load->name, entry->line);
    } else if (load->name != NULL) {
        snprintf(place, sizeof(place), "%s", load->name);
    }
    if (entry->text != NULL && (key->flags & CONFIG_SECRET) == 0)
        return err_set_field(load->err, ERR_CONFIG, key->name, "%s: [%s] %s = %.64s: %s", place, key->section, key->name, entry->text, fault);
    return err_set_field(load->err, ERR_CONFIG, key->name, "%s: [%s] %s: %s", place, key->section, key->name, fault);
}

/* Fallback for what was not given; "key =" takes even the fallback away. */
static bool parse_entry(struct load *load, size_t index) {
    const struct config_key *key = &load->table->keys[index];
    struct entry *entry = &load->entries[index];
    if (entry->text == NULL && key->fallback != NULL) {
        entry->text = strdup(key->fallback);
        if (entry->text == NULL)
            return err_no_memory(load->err);
    }
    if (entry->text == NULL || entry->text[0] == '\0')
        return (key->flags & CONFIG_REQUIRED) == 0 ? true : fail_value(load, index, "a value is required");
    if (parse_value(key, entry->text, &entry->number))
        return true;
    CLEANUP(buf_free) struct buf expected = BUF_INIT(ERR_TEXT_SIZE);
    buf_text(&expected, "expected ");
    describe_type(key, &expected);
    return fail_value(load, index, expected.data != NULL ? expected.data : "not valid");
}

/* A relative path is one beside the configuration file. */
static bool anchor_path(struct load *load, struct entry *entry) {
    const char *slash = load->name == NULL ? NULL : strrchr(load->name, '/');
    if (slash == NULL || entry->text == NULL || entry->text[0] == '\0' || entry->text[0] == '/')
        return true;
    char *joined = NULL;
    if (asprintf(&joined, "%.*s/%s", (int)(slash - load->name), load->name, entry->text) < 0)
        return err_no_memory(load->err);
    free(entry->text);
    entry->text = joined;
    return true;
}

static void store(const struct config_key *key, struct entry *entry, void *ret_config) {
    char *place = (char *)ret_config + key->offset;
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_PATH:
        if (entry->text != NULL && entry->text[0] == '\0') {
            free(entry->text);
            entry->text = NULL;
        }
        *(char **)(void *)place = entry->text;
        entry->text = NULL;
        return;
    case CONFIG_INT:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        *(int64_t *)(void *)place = entry->number;
        return;
    case CONFIG_BOOL:
        *(bool *)place = entry->number != 0;
        return;
    case CONFIG_CHOICE:
        *(int *)(void *)place = (int)entry->number;
        return;
    }
}

static bool finish(struct load *load, void *ret_config) {
    for (size_t i = 0; i < load->table->count; i++) {
        if (!parse_entry(load, i))
            return false;
        if (load->table->keys[i].type == CONFIG_PATH && !anchor_path(load, &load->entries[i]))
            return false;
    }
    for (size_t i = 0; i < load->table->count; i++)
        store(&load->table->keys[i], &load->entries[i], ret_config);
    return true;
}

bool config_parse(const struct config_table *table, const char *name, const char *text, size_t len, bool environment, void *ret_config,
                  struct err *err) {
    struct load load = {.table = table, .name = name, .err = err};
    load.entries = calloc(table->count, sizeof(*load.entries));
    if (load.entries == NULL)
        return err_no_memory(err);
    bool ok = read_text(&load, text, len) && (!environment || read_environment(&load)) && finish(&load, ret_config);
    free_entries(&load);
    return ok;
}

bool config_load(const struct config_table *table, const char *path, void *ret_config, struct err *err) {
    CLEANUP(buf_wipe) struct buf text = BUF_INIT(FILE_MAX);
    if (path != NULL && !file_read(path, &text, err)) {
        err->code = ERR_CONFIG;
        return false;
    }
    return config_parse(table, path, text.len > 0 ? text.data : "", text.len, true, ret_config, err);
}

static bool is_text(const struct config_key *key) {
    return key->type == CONFIG_TEXT || key->type == CONFIG_PATH;
}

/* Of what is no text. */
static size_t value_size(const struct config_key *key) {
    return key->type == CONFIG_BOOL ? sizeof(bool) : key->type == CONFIG_CHOICE ? sizeof(int) : sizeof(int64_t);
}

bool config_differs(const struct config_key *key, const void *a, const void *b) {
    const char *at_a = (const char *)a + key->offset, *at_b = (const char *)b + key->offset;
    if (!is_text(key))
        return memcmp(at_a, at_b, value_size(key)) != 0;
    const char *text_a = *(const char *const *)(const void *)at_a, *text_b = *(const char *const *)(const void *)at_b;
    return text_a == NULL || text_b == NULL ? text_a != text_b : strcmp(text_a, text_b) != 0;
}

bool config_keep(const struct config_key *key, void *config, const void *from, struct err *err) {
    char *to = (char *)config + key->offset;
    const char *at = (const char *)from + key->offset;
    if (!is_text(key)) {
        memcpy(to, at, value_size(key));
        return true;
    }
    const char *text = *(const char *const *)(const void *)at;
    char *copy = text != NULL ? strdup(text) : NULL;
    if (text != NULL && copy == NULL)
        return err_no_memory(err);
    char **place = (char **)(void *)to;
    if (*place != NULL)
        explicit_bzero(*place, strlen(*place));
    free(*place);
    *place = copy;
    return true;
}

void config_free(const struct config_table *table, void *config) {
    for (size_t i = 0; i < table->count; i++) {
        if (!is_text(&table->keys[i]))
            continue;
        char **text = (char **)(void *)((char *)config + table->keys[i].offset);
        if (*text != NULL)
            explicit_bzero(*text, strlen(*text));
        free(*text);
        *text = NULL;
    }
}

static void print_head(const struct config_table *table, size_t index, struct buf *out) {
    const struct config_key *key = &table->keys[index];
    if (index == 0 || strcmp(table->keys[index - 1].section, key->section) != 0)
        buf_printf(out, "%s[%s]\n", index > 0 ? "\n" : "", key->section);
}

static void sample_key(const struct config_table *table, const struct config_key *key, struct buf *out) {
    buf_text(out, "\n# ");
    for (const char *at = key->help; *at != '\0'; at++) {
        buf_byte(out, *at);
        if (*at == '\n')
            buf_text(out, "# ");
    }
    buf_text(out, "\n# (");
    describe_type(key, out);
    if ((key->flags & CONFIG_REQUIRED) != 0)
        buf_text(out, "; required");
    if ((key->flags & CONFIG_RELOADABLE) != 0)
        buf_text(out, "; reload takes effect");
    if (table->env_prefix != NULL) {
        char variable[NAME_MAX_BYTES];
        variable_name(table, key, variable);
        buf_printf(out, "; %s", variable);
    }
    buf_printf(out, ")\n#%s =%s%s\n", key->name, key->fallback != NULL ? " " : "", key->fallback != NULL ? key->fallback : "");
}

void config_sample(const struct config_table *table, struct buf *out) {
    buf_printf(out, "# Configuration of %s. Every key is shown with its default; take away the \"#\" to change it.\n", table->program);
    buf_text(out, "# Sizes: 16k, 4M, 1G (powers of 1024). Durations: 30s, 15m, 6h, 90d. Relative paths start at this file's folder.\n\n");
    for (size_t i = 0; i < table->count; i++) {
        print_head(table, i, out);
        sample_key(table, &table->keys[i], out);
    }
}

void config_print(const struct config_table *table, const void *config, struct buf *out) {
    for (size_t i = 0; i < table->count; i++) {
        const struct config_key *key = &table->keys[i];
        const char *place = (const char *)config + key->offset;
        const char *text = NULL;
        print_head(table, i, out);
        switch (key->type) {
        case CONFIG_TEXT:
        case CONFIG_PATH:
            text = *(const char *const *)(const void *)place;
            if (text == NULL)
                buf_printf(out, "#%s =\n", key->name);
            else
                buf_printf(out, "%s = %s\n", key->name, (key->flags & CONFIG_SECRET) != 0 ? "(set)" : text);
            break;
        case CONFIG_INT:
        case CONFIG_SIZE:
        case CONFIG_DURATION:
            buf_printf(out, "%s = ", key->name);
            print_number(key->type, *(const int64_t *)(const void *)place, out);
            buf_byte(out, '\n');
            break;
        case CONFIG_BOOL:
            buf_printf(out, "%s = %s\n", key->name, *(const bool *)place ? "yes" : "no");
            break;
        case CONFIG_CHOICE:
            buf_printf(out, "%s = %s\n", key->name, key->choices[*(const int *)(const void *)place]);
            break;
        }
    }
}
