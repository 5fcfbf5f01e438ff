/* The listeners that a configuration asks for: what each serves, whom it believes, and under which limits. */
#ifndef PAWL_SERVER_LISTENERS_H
#define PAWL_SERVER_LISTENERS_H

#include "server/config.h"
#include "server/wire.h"

enum { LISTENERS_MAX = 4 };

/* In the order they are started. Texts belong to the configuration, or stand here: not to be copied. */
struct listeners {
    struct wire_settings settings;
    char hosts[LISTENERS_MAX][64];
    const char *names[LISTENERS_MAX];
};

/* ERR_CONFIG names the key at fault. */
bool listeners_fill(const struct server_config *config, struct listeners *listeners, struct err *err) MUST_USE;

/* The line "ready", with the addresses that are really bound. */
void listeners_log_ready(const struct listeners *listeners, const struct wire *wire);

#endif
