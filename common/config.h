/* Configuration by one table over an INI file (libinih): the table is the parser, the sample file, the printer and the manual. */
#ifndef PAWL_COMMON_CONFIG_H
#define PAWL_COMMON_CONFIG_H

#include "common/buf.h"

enum config_type {
    CONFIG_TEXT,     /* char *; owned by the struct */
    CONFIG_PATH,     /* char *; as text, relative paths are relative to the configuration file's folder */
    CONFIG_INT,      /* int64_t */
    CONFIG_SIZE,     /* int64_t bytes; "16k", "4M", "1G" */
    CONFIG_DURATION, /* int64_t seconds; "30s", "15m", "6h", "90d" */
    CONFIG_BOOL,     /* bool; yes/no, true/false, on/off */
    CONFIG_CHOICE,   /* int; one of .choices, stored as its index */
};

enum config_flag {
    CONFIG_REQUIRED = 1,
    CONFIG_SECRET = 2,     /* printed as "(set)" */
    CONFIG_RELOADABLE = 4, /* takes effect on SIGHUP */
};

struct config_key {
    const char *section;
    const char *name;
    enum config_type type;
    size_t offset;
    const char *fallback;       /* as it would stand in the file; NULL: none (NULL, 0, false) */
    int64_t min, max;           /* numbers: range, 0/0 is unlimited */
    const char *const *choices; /* NULL-terminated */
    unsigned flags;
    const char *help; /* one or more lines, printed as comment in the sample */
};

struct config_table {
    const char *program;    /* "pawld": names the environment prefix PAWL_<SECTION>_<KEY>, and the file in messages */
    const char *env_prefix; /* "PAWL_" for pawld, "PAWL_AGENT_" for the agent; NULL: no environment */
    const struct config_key *keys;
    size_t count;
    const char *const *env_foreign; /* beginnings of variables with that prefix which are other programs'; NULL-terminated, may be NULL */
};

/* Fallbacks, then the file (path NULL: none), then the environment. ERR_CONFIG names file, line, section and key. An unknown key or section,
 * a key given twice, a value out of range: an error. Unknown variables with the prefix are errors too. "key =" means none, even
 * where there is a fallback. A line has at most 198 bytes. */
bool config_load(const struct config_table *table, const char *path, void *ret_config, struct err *err) MUST_USE;

/* The same over a text in memory; name stands for the file in messages and anchors relative paths (NULL: none). */
bool config_parse(const struct config_table *table, const char *name, const char *text, size_t len, bool environment, void *ret_config,
                  struct err *err) MUST_USE;

/* True when the two hold different values for the key. */
bool config_differs(const struct config_key *key, const void *a, const void *b);

/* Gives the key in *config the value that it has in *from; for keys that a reload cannot change. */
bool config_keep(const struct config_key *key, void *config, const void *from, struct err *err) MUST_USE;

/* Frees the texts, overwritten first. */
void config_free(const struct config_table *table, void *config);

/* The commented sample file; and the values in force in the same form (secrets hidden). */
void config_sample(const struct config_table *table, struct buf *out);
void config_print(const struct config_table *table, const void *config, struct buf *out);

#endif
