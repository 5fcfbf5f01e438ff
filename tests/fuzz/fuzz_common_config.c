/* Any bytes as a configuration file; what is read can be printed. */
#include <stdlib.h>

#include "common/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct settings {
    char *text;
    char *path;
    int64_t number;
    int64_t size;
    int64_t duration;
    bool flag;
    int choice;
};

static const char *const choices[] = {"one", "two", NULL};

static const struct config_key keys[] = {
    {"a", "text", CONFIG_TEXT, offsetof(struct settings, text), "x", 0, 0, NULL, CONFIG_SECRET, "Text"},
    {"a", "path", CONFIG_PATH, offsetof(struct settings, path), NULL, 0, 0, NULL, 0, "Path"},
    {"a", "number", CONFIG_INT, offsetof(struct settings, number), "1", 1, 10, NULL, 0, "Number"},
    {"b", "size", CONFIG_SIZE, offsetof(struct settings, size), "1k", 0, 0, NULL, 0, "Size"},
    {"b", "duration", CONFIG_DURATION, offsetof(struct settings, duration), "1s", 0, 0, NULL, 0, "Duration"},
    {"b", "flag", CONFIG_BOOL, offsetof(struct settings, flag), "no", 0, 0, NULL, 0, "Flag"},
    {"b", "choice", CONFIG_CHOICE, offsetof(struct settings, choice), "one", 0, 0, choices, 0, "Choice"},
};
static const struct config_table table = {"fuzzed", NULL, keys, ARRAY_LEN(keys), NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(buf_free) struct buf out = BUF_INIT(1 << 20);
    struct settings settings = {0};
    struct err err = {0};
    if (!config_parse(&table, "/etc/fuzzed.conf", (const char *)data, size, false, &settings, &err)) {
        if (err.code == ERR_NONE || err.text[0] == '\0')
            abort();
        return 0;
    }
    if (settings.number != 0 && (settings.number < 1 || settings.number > 10))
        abort();
    config_print(&table, &settings, &out);
    config_free(&table, &settings);
    if (out.failed != ERR_NONE)
        abort();
    return 0;
}
