#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "common/program.h"
#include "server/commands.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"serve", commands_serve, "run the server"},
    {"init", commands_init, "make an installation: data folder, root, online keys, first token"},
    {"check-config", commands_check_config, "say what is wrong with the configuration, if anything"},
    {"print-config", commands_print_config, "print the values in force, or a commented sample"},
    {"migrate", commands_migrate, "bring the database to this program's schema"},
    {"backup", commands_backup, "write database and images into one file, while the server runs"},
    {"restore", commands_restore, "make the store out of a backup"},
    {"scrub", commands_scrub, "hash every image again"},
    {"health", commands_health, "ask the running server whether it is ready"},
};

static int usage(FILE *out) {
    fprintf(out, "usage: pawld COMMAND [OPTIONS]\n\n");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "  %-14s %s\n", commands[i].name, commands[i].help);
    fprintf(out, "\n  pawld COMMAND --help   the options of a command\n"
                 "  pawld --dump-routes    the route table, tab-separated\n"
                 "  pawld --version\n\n"
                 "exit codes: 0 good, 1 failed, 2 usage or configuration, 3 refused, 4 unreachable, 5 trust, 6 local file, 7 key\n");
    return out == stdout ? EXIT_OK : EXIT_USAGE;
}

static void print_policy(unsigned policy) {
    static const char *const names[] = {"idempotent", "if-match", "by-product", "ddi", "cut", "by-address"};
    const char *separator = "";
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if ((policy & 1u << i) == 0)
            continue;
        printf("%s%s", separator, names[i]);
        separator = ",";
    }
    printf("%s", policy == 0 ? "-" : "");
}

static void print_listeners(unsigned listeners) {
    static const char *const names[] = {"device", "enrol", "admin", "token"};
    const char *separator = "";
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if ((listeners & 1u << i) == 0)
            continue;
        printf("%s%s", separator, names[i]);
        separator = "|";
    }
}

static int dump_routes(void) {
    static const char *const roles[] = {"nobody", "anyone", "any-device", "active-device", "operator"};
    static const char *const bodies[] = {"none", "json", "bytes", "stream"};
    static const char *const runs[] = {"read", "write"};
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        print_listeners(route->listeners);
        printf("\t%s\t%s\t%s\t%s\t%s\t%zu\t%s\t", route->method, route->pattern, roles[route->role], route->scope[0] != '\0' ? route->scope : "-",
               bodies[route->body], route->body_limit, runs[route->run]);
        print_policy(route->policy);
        printf("\t%s\n", route->query != NULL ? route->query : "*");
    }
    return EXIT_OK;
}

int main(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "--version") == 0) {
        printf("pawld %s\n", PAWL_VERSION);
        return EXIT_OK;
    }
    if (strcmp(word, "--dump-routes") == 0)
        return dump_routes();
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return usage(stdout);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(word, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (word[0] != '\0')
        fprintf(stderr, "pawld: unknown command '%s'\n", word);
    return usage(stderr);
}
