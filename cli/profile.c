#include "cli/profile.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/text.h"

enum { CONFIG_MAX_BYTES = 64 * 1024 };

static const struct {
    const char *name;
    size_t offset;
    bool is_path;
} profile_keys[] = {
    {"server", offsetof(struct cli_profile, server), false},
    {"ca", offsetof(struct cli_profile, ca), true},
    {"token_file", offsetof(struct cli_profile, token_file), true},
    {"state_dir", offsetof(struct cli_profile, state_dir), true},
};

/* Where the parser stands. */
struct parse {
    struct arena *arena;
    const char *path;
    int line;
    bool ours;     /* inside the section that is asked for */
    bool sections; /* any section seen */
    bool found;
    unsigned given; /* bit i: profile_keys[i] stood in our section */
    const char *name;
    struct cli_profile *profile;
};

static char *trim(char *text) {
    while (*text == ' ' || *text == '\t')
        text++;
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t' || text[len - 1] == '\r'))
        text[--len] = '\0';
    return text;
}

static const char *expand_home(struct arena *arena, const char *path) {
    const char *home = getenv("HOME");
    if (!text_starts(path, "~/") || home == NULL)
        return arena_strdup(arena, path);
    return arena_printf(arena, "%s/%s", home, path + 2);
}

static bool parse_section(struct parse *parse, char *text, struct err *err) {
    size_t len = strlen(text);
    if (len < 3 || text[len - 1] != ']')
        return err_set(err, ERR_CONFIG, "%s:%d: a section is [name]", parse->path, parse->line);
    text[len - 1] = '\0';
    parse->sections = true;
    parse->ours = text_equal(text + 1, parse->name);
    if (parse->ours && parse->found)
        return err_set(err, ERR_CONFIG, "%s:%d: profile '%s' stands here a second time", parse->path, parse->line, parse->name);
    parse->found = parse->found || parse->ours;
    return true;
}

static bool parse_pair(struct parse *parse, char *text, struct err *err) {
    char *equals = strchr(text, '=');
    if (equals == NULL || !parse->sections)
        return err_set(err, ERR_CONFIG, "%s:%d: expected [profile] or key = value", parse->path, parse->line);
    *equals = '\0';
    const char *key = trim(text);
    const char *value = trim(equals + 1);
    for (size_t i = 0; i < ARRAY_LEN(profile_keys); i++) {
        if (!text_equal(key, profile_keys[i].name))
            continue;
        if (value[0] == '\0')
            return err_set(err, ERR_CONFIG, "%s:%d: '%s' has no value", parse->path, parse->line, key);
        if (!parse->ours)
            return true;
        if ((parse->given & (1U << i)) != 0)
            return err_set(err, ERR_CONFIG, "%s:%d: '%s' is given twice", parse->path, parse->line, key);
        parse->given |= 1U << i;
        const char **place = (const char **)(void *)((char *)parse->profile + profile_keys[i].offset);
        if (*place == NULL) /* what an option or the environment said is worth more */
            *place = profile_keys[i].is_path ? expand_home(parse->arena, value) : arena_strdup(parse->arena, value);
        return *place != NULL || err_no_memory(err);
    }
    return err_set(err, ERR_CONFIG, "%s:%d: unknown key '%s'; a profile has server, ca, token_file, state_dir", parse->path, parse->line, key);
}

bool cli_profile_parse(struct arena *arena, const char *path, const char *text, size_t len, const char *name, bool required,
                       struct cli_profile *profile, struct err *err) {
    struct parse parse = {.arena = arena, .path = path, .name = name, .profile = profile};
    char *copy = arena_strndup(arena, text, len);
    if (copy == NULL)
        return err_no_memory(err);
    if (strlen(copy) != len)
        return err_set(err, ERR_CONFIG, "%s: a zero byte is in it", path);
    for (char *next = copy; next != NULL;) {
        char *line = strsep(&next, "\n");
        parse.line++;
        line = trim(line);
        if (line[0] == '\0' || line[0] == '#' || line[0] == ';')
            continue;
        if (line[0] == '[' ? !parse_section(&parse, line, err) : !parse_pair(&parse, line, err))
            return false;
    }
    if (required && !parse.found)
        return err_set(err, ERR_CONFIG, "%s: no profile '%s'", path, name);
    return true;
}

bool cli_profile_load(struct arena *arena, struct cli_profile *profile, struct err *err) {
    bool named = profile->name != NULL;
    if (!named)
        profile->name = "default";
    if (profile->token_file == NULL)
        profile->token_file = getenv("PAWL_TOKEN_FILE");
    const char *path = getenv("PAWL_CONFIG");
    bool path_given = path != NULL;
    if (!path_given)
        path = expand_home(arena, "~/.config/pawl/config");
    if (path == NULL)
        return err_no_memory(err);
    if (!path_given && !named && !file_exists(path))
        return true;
    CLEANUP(buf_free) struct buf text = BUF_INIT(CONFIG_MAX_BYTES);
    if (!file_read(path, &text, err)) {
        err->code = ERR_CONFIG;
        return err_prefix(err, "profile '%s'", profile->name);
    }
    return cli_profile_parse(arena, path, text.len == 0 ? "" : text.data, text.len, profile->name, named, profile, err);
}

bool cli_profile_check_server(struct arena *arena, const char *server, const char **ret_server, struct err *err) {
    static const char scheme[] = "https://";
    if (!text_starts(server, scheme))
        return err_set_field(err, ERR_USAGE, "server", "server '%s' must begin with https://; nothing else is spoken", server);
    size_t len = strlen(server);
    if (server[len - 1] == '/')
        len--;
    const char *authority = server + sizeof(scheme) - 1;
    if (len < sizeof(scheme))
        return err_set_field(err, ERR_USAGE, "server", "server '%s' names no host", server);
    size_t authority_len = len - (sizeof(scheme) - 1);
    /* A host name, an IPv4 address or a bracketed IPv6 one, and a port: no user, path, query or escape. */
    size_t plain = strspn(authority, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]");
    if (plain < authority_len)
        return err_set_field(err, ERR_USAGE, "server", "server '%s' must be https://HOST[:PORT] and nothing behind it", server);
    *ret_server = arena_strndup(arena, server, len);
    return *ret_server != NULL || err_no_memory(err);
}
