/* Holds a manual page of a configuration file against the table that parses it: each key under its section, with its default. */
#ifndef PAWL_TESTS_MANUAL_CHECK_H
#define PAWL_TESTS_MANUAL_CHECK_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/config.h"
#include "common/file.h"

/* Where the text stands between from and end; NULL: nowhere. */
static inline const char *manual_find(const char *from, const char *end, const char *text) {
    const char *at = strstr(from, text);
    return at == NULL || at >= end ? NULL : at;
}

static inline void manual_check_key(const char *page, const struct config_key *key) {
    char line[256];
    snprintf(line, sizeof(line), "\n.Ss [%s]\n", key->section);
    const char *section = strstr(page, line);
    if (section == NULL)
        fail_msg("no section [%s]", key->section);
    const char *section_end = strstr(section + 1, "\n.S");
    snprintf(line, sizeof(line), "\n.It Ic %s No = ", key->name);
    const char *item = manual_find(section, section_end, line);
    if (item == NULL)
        fail_msg("no key '%s' in [%s]", key->name, key->section);
    const char *item_end = manual_find(item + 1, section_end, "\n.It ");
    item_end = item_end == NULL ? section_end : item_end;
    snprintf(line, sizeof(line), "\n.Ql %s .\n", key->fallback == NULL ? "" : key->fallback);
    if (key->fallback != NULL && manual_find(item, item_end, line) == NULL)
        fail_msg("[%s] %s: the default '%s' is not said", key->section, key->name, key->fallback);
    bool says_required = manual_find(item, item_end, " Pq required\n") != NULL;
    if (says_required != ((key->flags & CONFIG_REQUIRED) != 0))
        fail_msg("[%s] %s: required or not?", key->section, key->name);
    bool says_reload = manual_find(item, item_end, " Pq reload\n") != NULL;
    if (says_reload != ((key->flags & CONFIG_RELOADABLE) != 0))
        fail_msg("[%s] %s: does a reload take effect or not?", key->section, key->name);
    for (size_t i = 0; key->choices != NULL && key->choices[i] != NULL; i++)
        if (manual_find(item, item_end, key->choices[i]) == NULL)
            fail_msg("[%s] %s: the choice '%s' is not said", key->section, key->name, key->choices[i]);
}

static inline void manual_check(const char *path, const struct config_table *table) {
    struct err err = {0};
    CLEANUP(buf_free) struct buf page = BUF_INIT(1 << 20);
    assert_true(file_read(path, &page, &err));
    size_t items = 0;
    for (const char *at = strstr(page.data, "\n.Sh KEYS\n"); at != NULL; at = strstr(at + 1, "\n.It Ic "))
        items++;
    assert_int_equal(items - 1, table->count); /* nothing that is not in the table */
    for (size_t i = 0; i < table->count; i++)
        manual_check_key(page.data, &table->keys[i]);
}

#endif
