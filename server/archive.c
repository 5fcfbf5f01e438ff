/* pawld backup, restore and scrub: the store as a whole, while a server runs or not. */
#include "server/archive.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/text.h"
#include "db/restore.h"
#include "db/scrub.h"
#include "server/commands.h"

enum { DRAW_MS = 200, ARENA_BYTES = 256 << 20, ONLINE_RATE = 32 << 20 };

/* What is asked of the three; each takes some of it. */
struct request {
    const char *file;
    int64_t rate;
    bool force, without_carrying;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

static bool step(void *context, int64_t done, int64_t total) {
    struct archive_work *archive = context;
    int64_t now_ms = clock_mono_ms();
    if (stopped)
        return false;
    if (archive->shown && now_ms - archive->drawn_ms >= DRAW_MS) {
        archive->drawn_ms = now_ms;
        fprintf(stderr, "\r%s: %lld %% of %lld MiB\033[K", archive->what, (long long)(total > 0 ? done * 100 / total : 100),
                (long long)(total >> 20));
    }
    return true;
}

void archive_begin(struct archive_work *archive, const char *what, int64_t rate) {
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    *archive = (struct archive_work){.what = what, .shown = isatty(STDERR_FILENO) == 1};
    archive->work = (struct db_work){.step = step, .context = archive, .rate = rate};
}

void archive_end(const struct archive_work *archive) {
    if (archive->shown)
        fputs("\r\033[K", stderr);
}

/* The options of a command, and the configuration. False: it is over with *ret_code. */
static bool begin(const struct commands_line *line, int argc, char **argv, struct request *request, struct server_config *config, int *ret_code) {
    const char *path;
    struct err err;
    if (!commands_parse(line, argc, argv, &path, &request->file, ret_code))
        return false;
    bool good = request->rate >= 0 || err_set(&err, ERR_USAGE, "--rate must not be negative");
    if (good && commands_config(path, config, &err))
        return true;
    *ret_code = commands_fail(&err);
    return false;
}

static const char *mib(struct arena *arena, int64_t bytes) {
    const char *text = arena_printf(arena, "%lld.%lld MiB", (long long)(bytes >> 20), (long long)((bytes & 0xfffff) * 10 >> 20));
    return text != NULL ? text : "?";
}

static void tell_damaged(const struct db_backup_manifest *manifest) {
    for (size_t i = 0; i < manifest->damaged_count; i++)
        fprintf(stderr, "pawld: image %s is missing or damaged in the store and not in the backup; upload it again\n", manifest->damaged[i]);
}

static int backup(const struct request *request, const struct server_config *config, struct arena *arena) {
    struct archive_work archive;
    struct db_backup_manifest manifest;
    struct err err;
    umask(077);
    archive_begin(&archive, "backup", request->rate);
    bool done = db_backup(config->store.data, request->file, PAWL_VERSION, clock_now(), &archive.work, arena, &manifest, &err);
    archive_end(&archive);
    if (!done)
        return commands_fail(&err);
    tell_damaged(&manifest);
    printf("%s: the database (schema %lld, %s) and %lld images (%s)\n", request->file, (long long)manifest.schema,
           mib(arena, manifest.database_length), (long long)manifest.images, mib(arena, manifest.image_bytes));
    return manifest.damaged_count == 0 ? EXIT_OK : EXIT_FAILED;
}

int commands_backup(int argc, char **argv) {
    struct request request = {0};
    const struct option options[] = {
        {"rate", 0, OPTION_INT, &request.rate, "BYTES", "images are read at most so fast, in bytes a second (default: as fast as it goes)"},
    };
    const struct commands_line line = {
        .usage = "usage: pawld backup [--config FILE] [--rate BYTES] FILE\n\nWrites database and images, as they are at this moment, into one new "
                 "tar file; "
                 "a running server goes on\nunhindered. Keys, certificates and the configuration are not in it: keep them apart. Exit code 1 with a\n"
                 "complete backup: images that were damaged already are not in it, and named.\n\n",
        .operand = "FILE",
        .options = options,
        .option_count = ARRAY_LEN(options)};
    struct server_config config CLEANUP(server_config_free) = {0};
    struct arena arena CLEANUP(arena_clear);
    int code;
    arena_init(&arena, ARENA_BYTES);
    return begin(&line, argc, argv, &request, &config, &code) ? backup(&request, &config, &arena) : code;
}

static int restore(const struct request *request, const struct server_config *config, struct arena *arena) {
    struct archive_work archive;
    struct db_restore_report report;
    struct err err;
    char made_at[CLOCK_RFC3339_SIZE];
    umask(077);
    archive_begin(&archive, "restore", 0);
    const struct db_restore_options options = {.folder = config->store.data,
                                               .file = request->file,
                                               .force = request->force,
                                               .without_carrying = request->without_carrying,
                                               .now = clock_now(),
                                               .work = &archive.work};
    bool done = db_restore(&options, arena, &report, &err);
    archive_end(&archive);
    if (!done)
        return commands_fail(&err);
    clock_rfc3339(report.manifest.created_at, made_at);
    printf("%s: the store of %s, schema %lld, %lld images\n", config->store.data, made_at, (long long)report.manifest.schema,
           (long long)report.manifest.images);
    tell_damaged(&report.manifest);
    if (report.kept != NULL)
        printf("the store that was there is at %s\n", report.kept);
    if (report.carried)
        printf("carried over from it: %lld devices (higher floors, revocations), %lld revoked tokens, %lld withdrawn releases\n",
               (long long)report.devices, (long long)report.tokens, (long long)report.releases);
    else if (report.kept != NULL)
        printf("nothing was carried over from it\n");
    return EXIT_OK;
}

int commands_restore(int argc, char **argv) {
    struct request request = {0};
    const struct option options[] = {
        {"force", 0, OPTION_FLAG, &request.force, NULL, "move a store that is there aside; floors and revocations that it knows are kept"},
        {"without-carrying", 0, OPTION_FLAG, &request.without_carrying, NULL, "they are not: for a store that cannot be read any more"},
    };
    const struct commands_line line = {
        .usage = "usage: pawld restore [--config FILE] [--force] [--without-carrying] FILE\n\nMakes the store out of a backup while no server runs. "
                 "Everything is verified beside the store first, then\nboth change places in one step.\n\n",
        .operand = "FILE",
        .options = options,
        .option_count = ARRAY_LEN(options)};
    struct server_config config CLEANUP(server_config_free) = {0};
    struct arena arena CLEANUP(arena_clear);
    int code;
    arena_init(&arena, ARENA_BYTES);
    return begin(&line, argc, argv, &request, &config, &code) ? restore(&request, &config, &arena) : code;
}

/* Beside a running server nobody's download may suffer. */
static int64_t scrub_rate(const struct request *request, const struct server_config *config, struct arena *arena) {
    struct err unused;
    int fd CLEANUP(file_close) = -1;
    const char *lock = arena_printf(arena, "%s/lock", config->store.data);
    if (request->rate > 0 || lock == NULL || !file_exists(lock))
        return request->rate;
    return file_lock(lock, &fd, &unused) ? 0 : ONLINE_RATE;
}

static int scrub(const struct request *request, const struct server_config *config, struct arena *arena) {
    struct archive_work archive;
    struct db_scrub_report report;
    struct err err;
    int64_t now = clock_now();
    archive_begin(&archive, "scrub", scrub_rate(request, config, arena));
    bool done = db_scrub(config->store.data, now, &archive.work, arena, &report, &err);
    archive_end(&archive);
    if (!done || !db_scrub_leave(config->store.data, now, &report, &err))
        return commands_fail(&err);
    for (size_t i = 0; i < report.finding_count; i++)
        printf("%s\t%s\n", db_scrub_fault_name(report.findings[i].fault), report.findings[i].sha256);
    int64_t corrupt = report.faults[DB_SCRUB_CORRUPT], missing = report.faults[DB_SCRUB_MISSING], orphans = report.faults[DB_SCRUB_ORPHAN];
    printf("%lld images (%s): %lld corrupt, %lld missing, %lld orphans\n", (long long)report.images, mib(arena, report.bytes), (long long)corrupt,
           (long long)missing, (long long)orphans);
    return corrupt + missing == 0 ? EXIT_OK : EXIT_FAILED;
}

int commands_scrub(int argc, char **argv) {
    struct request request = {0};
    const struct option options[] = {
        {"rate", 0, OPTION_INT, &request.rate, "BYTES", "read at most so fast, in bytes a second (default: 33554432 beside a running server)"},
    };
    const struct commands_line line = {
        .usage =
            "usage: pawld scrub [--config FILE] [--rate BYTES]\n\nHashes every image again, while a server runs or not, and prints a line for each "
            "that is corrupt, missing or\nan orphan (a file that the database does not know; the next start removes it). The server makes events of "
            "what\nwas found. Exit code 0: every image is whole; 1: corrupt or missing ones. Uploading them again heals them.\n\n",
        .options = options,
        .option_count = ARRAY_LEN(options)};
    struct server_config config CLEANUP(server_config_free) = {0};
    struct arena arena CLEANUP(arena_clear);
    int code;
    arena_init(&arena, ARENA_BYTES);
    return begin(&line, argc, argv, &request, &config, &code) ? scrub(&request, &config, &arena) : code;
}
