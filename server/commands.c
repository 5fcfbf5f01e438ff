#include "server/commands.h"

#include <stdio.h>

#include "common/file.h"
#include "common/program.h"
#include "db/db.h"
#include "server/administrators.h"
#include "server/issuing.h"
#include "server/online.h"

int commands_fail(const struct err *err) {
    fprintf(stderr, "pawld: %s\n", err->text);
    return program_exit_code(err);
}

bool commands_parse(const struct commands_line *line, int argc, char **argv, const char **ret_config_path, const char **ret_operand, int *ret_code) {
    const char *path = NULL;
    bool help = false;
    struct option options[COMMANDS_MAX_OPTIONS + 2] = {
        {"config", 'c', OPTION_TEXT, &path, "FILE", "the configuration (default: " COMMANDS_CONFIG ")"},
    };
    size_t count = 1;
    for (size_t i = 0; i < line->option_count; i++)
        options[count++] = line->options[i];
    options[count++] = (struct option){"help", 'h', OPTION_FLAG, &help, NULL, "this text"};
    struct option_texts operands;
    struct err err;
    bool good = option_parse(options, count, argc, argv, &operands, &err);
    if (good && help) {
        fputs(line->usage, stdout);
        option_help(stdout, options, count);
        *ret_code = EXIT_OK;
        return false;
    }
    if (good && line->operand != NULL && operands.count != 1)
        good = err_set(&err, ERR_USAGE, "one %s is expected", line->operand);
    else if (good && line->operand == NULL && operands.count > 0)
        good = err_set(&err, ERR_USAGE, "unexpected argument '%s'", operands.items[0]);
    if (!good) {
        *ret_code = commands_fail(&err);
        return false;
    }
    *ret_config_path = path;
    if (line->operand != NULL)
        *ret_operand = operands.items[0];
    return true;
}

bool commands_config(const char *path, struct server_config *ret_config, struct err *err) {
    if (path == NULL && file_exists(COMMANDS_CONFIG))
        path = COMMANDS_CONFIG;
    return server_config_load(path, ret_config, err);
}

int commands_check_config(int argc, char **argv) {
    static const struct commands_line line = {
        .usage =
            "usage: pawld check-config [--config FILE]\n\nReads the configuration, the CAs and the online keys as 'serve' would, and says what is "
            "wrong.\n\n"};
    const char *path;
    struct server_config config CLEANUP(server_config_free) = {0};
    struct key *timestamp CLEANUP(key_cleanup) = NULL;
    struct key *directive CLEANUP(key_cleanup) = NULL;
    struct certs_issuer *issuer CLEANUP(issuing_drop) = NULL;
    struct err err;
    int code;
    if (!commands_parse(&line, argc, argv, &path, NULL, &code))
        return code;
    if (!commands_config(path, &config, &err) || !administrators_check_authorities(&config, &err) || !issuing_open(&config, &issuer, &err) ||
        !online_load(&config, &timestamp, &directive, &err))
        return commands_fail(&err);
    printf("the configuration is good\n");
    return EXIT_OK;
}

int commands_print_config(int argc, char **argv) {
    const char *path;
    bool sample = false;
    const struct option options[] = {{"sample", 0, OPTION_FLAG, &sample, NULL, "the commented sample with all defaults instead"}};
    const struct commands_line line = {
        .usage = "usage: pawld print-config [--config FILE] [--sample]\n\nPrints the values in force, from file, environment and defaults.\n\n",
        .options = options,
        .option_count = ARRAY_LEN(options)};
    struct server_config config CLEANUP(server_config_free) = {0};
    struct buf text CLEANUP(buf_free) = BUF_INIT(256 * 1024);
    struct err err;
    int code;
    if (!commands_parse(&line, argc, argv, &path, NULL, &code))
        return code;
    if (sample)
        config_sample(&server_config_table, &text);
    else if (commands_config(path, &config, &err))
        config_print(&server_config_table, &config, &text);
    else
        return commands_fail(&err);
    if (!buf_ok(&text, "the configuration", &err))
        return commands_fail(&err);
    return fwrite(text.data, 1, text.len, stdout) == text.len ? EXIT_OK : EXIT_LOCAL_IO;
}

int commands_migrate(int argc, char **argv) {
    static const struct commands_line line = {
        .usage = "usage: pawld migrate [--config FILE]\n\nBrings the database to this program's schema; 'serve' does so as well.\n\n"};
    const char *path;
    struct server_config config CLEANUP(server_config_free) = {0};
    struct db_migrate_report report;
    struct err err;
    int code;
    if (!commands_parse(&line, argc, argv, &path, NULL, &code))
        return code;
    if (!commands_config(path, &config, &err) || !db_migrate(config.store.data, &report, &err))
        return commands_fail(&err);
    if (report.from == report.to)
        printf("the database has schema %d, the newest\n", report.to);
    else
        printf("the database went from schema %d to %d\n", report.from, report.to);
    return EXIT_OK;
}
