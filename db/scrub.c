#include "db/scrub.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/text.h"
#include "db/image.h"
#include "db/store.h"

#define LEFT_FILE "scrub.json"

enum { PAGE = 200, BUSY_TIMEOUT_MS = 2000, YOUNG_S = 60, LEFT_MAX_BYTES = 1 << 20 };

static const char *const names[DB_SCRUB_FAULT_COUNT] = {[DB_SCRUB_CORRUPT] = "corrupt", [DB_SCRUB_MISSING] = "missing", [DB_SCRUB_ORPHAN] = "orphan"};

const char *db_scrub_fault_name(enum db_scrub_fault fault) {
    return (size_t)fault < ARRAY_LEN(names) ? names[fault] : "unknown";
}

bool db_scrub_fault_parse(const char *name, enum db_scrub_fault *ret_fault) {
    for (int i = 0; i < DB_SCRUB_FAULT_COUNT; i++)
        if (text_equal(name, names[i])) {
            *ret_fault = (enum db_scrub_fault)i;
            return true;
        }
    return false;
}

struct scrub {
    const char *folder;
    int64_t now;
    struct db_conn *conn;
    struct db_work_copy work;
    struct db_scrub_report report;
};

static void find(struct scrub *scrub, enum db_scrub_fault fault, const char *sha256) {
    struct db_scrub_report *report = &scrub->report;

    report->faults[fault]++;
    if (report->finding_count == DB_SCRUB_MAX_FINDINGS)
        return;
    struct db_scrub_finding *finding = &report->findings[report->finding_count++];
    finding->fault = fault;
    snprintf(finding->sha256, sizeof finding->sha256, "%s", sha256);
}

/* *ret_row false: no image of this name. */
static bool look_up(struct scrub *scrub, const char *sha256, bool *ret_row, struct err *err) {
    struct db_image image;

    *ret_row = db_image_get(scrub->conn, sha256, &image, err);
    return *ret_row || err->code == ERR_NOT_FOUND;
}

static bool check_image(struct scrub *scrub, const struct db_image *image, struct err *err) {
    char path[4096], sha256[SHA256_HEX_SIZE];
    struct stat info;
    int64_t length;
    bool still;

    scrub->report.images++;
    if (snprintf(path, sizeof path, "%s/images/%s", scrub->folder, image->sha256) >= (int)sizeof path)
        return err_set(err, ERR_INVALID, "path %.64s… is too long", path);
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT)
        return err_errno(err, "%s", path);
    if (fd < 0) {
        if (!look_up(scrub, image->sha256, &still, err))
            return false;
        if (still)
            find(scrub, DB_SCRUB_MISSING, image->sha256);
        return true;
    }
    if (fstat(fd, &info) != 0)
        return err_errno(err, "%s", path);
    if (!db_work_copy(&scrub->work, fd, -1, info.st_size, sha256, &length, err)) {
        if (err->code != ERR_IO) /* a block that cannot be read is what a scrub is for */
            return false;
        find(scrub, DB_SCRUB_CORRUPT, image->sha256);
        return true;
    }
    scrub->report.bytes += length;
    if (strcmp(sha256, image->sha256) != 0)
        find(scrub, DB_SCRUB_CORRUPT, image->sha256);
    return true;
}

static bool check_rows(struct scrub *scrub, struct err *err) {
    char after[DB_SHA256_SIZE] = "";

    for (bool more = true; more;) {
        CLEANUP(arena_clear) struct arena arena;
        struct db_images page;
        arena_init(&arena, 1 << 20);
        if (!db_image_list(scrub->conn, after, PAGE, &arena, &page, err))
            return false;
        for (size_t i = 0; i < page.count; i++)
            if (!check_image(scrub, &page.items[i], err))
                return false;
        more = page.more;
        if (more)
            memcpy(after, page.items[page.count - 1].sha256, sizeof after);
    }
    return true;
}

static bool check_name(struct scrub *scrub, int folder_fd, const char *name, struct err *err) {
    struct stat info;
    bool row;

    if (!hex_is_digest(name) || fstatat(folder_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || info.st_mtime > scrub->now - YOUNG_S)
        return true;
    if (!look_up(scrub, name, &row, err))
        return false;
    if (!row)
        find(scrub, DB_SCRUB_ORPHAN, name);
    return true;
}

static bool check_files(struct scrub *scrub, struct err *err) {
    char path[4096];

    if (snprintf(path, sizeof path, "%s/images", scrub->folder) >= (int)sizeof path)
        return err_set(err, ERR_INVALID, "path %.64s… is too long", path);
    DIR *dir = opendir(path);
    if (!dir)
        return err_errno(err, "%s", path);
    bool good = true;
    for (const struct dirent *item = readdir(dir); item && good; item = readdir(dir))
        good = check_name(scrub, dirfd(dir), item->d_name, err);
    closedir(dir);
    return good;
}

bool db_scrub(const char *folder, int64_t now, const struct db_work *work, struct arena *arena, struct db_scrub_report *ret_report, struct err *err) {
    struct scrub scrub = {.folder = folder, .now = now, .work = {.work = work, .started_ms = clock_mono_ms()}};
    const char *database = arena_printf(arena, "%s/pawl.db", folder);

    scrub.report.findings = arena_array(arena, DB_SCRUB_MAX_FINDINGS, sizeof *scrub.report.findings);
    if (!database || !scrub.report.findings)
        return err_no_memory(err);
    if (!file_exists(database))
        return err_set(err, ERR_NOT_FOUND, "%s is not there: no store", database);
    if (!db_engine_open(NULL, database, false, BUSY_TIMEOUT_MS, &scrub.conn, err))
        return false;
    bool good = db_image_total(scrub.conn, &scrub.work.total, err) && check_rows(&scrub, err) && check_files(&scrub, err);
    db_engine_close(scrub.conn);
    if (good)
        *ret_report = scrub.report;
    return good;
}

struct finding_json {
    const char *fault, *sha256;
};

static const struct json_field finding_fields[] = {
    JSON_FIELD(struct finding_json, fault, JSON_TEXT, JSON_REQUIRED, .min = 1, .max = 16),
    JSON_FIELD(struct finding_json, sha256, JSON_TEXT, JSON_REQUIRED, .min = 64, .max = 64),
};
static const struct json_shape finding_shape = JSON_SHAPE(struct finding_json, finding_fields);

struct left_json {
    int64_t at, images, bytes, corrupt, missing, orphan;
    struct json_list findings;
};

static const struct json_field left_fields[] = {
    JSON_FIELD(struct left_json, at, JSON_TIME, JSON_REQUIRED),
    JSON_FIELD(struct left_json, images, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct left_json, bytes, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct left_json, corrupt, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct left_json, missing, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct left_json, orphan, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct left_json, findings, JSON_STRUCTS, JSON_REQUIRED, .max = DB_SCRUB_MAX_FINDINGS, .shape = &finding_shape),
};
static const struct json_shape left_shape = JSON_SHAPE(struct left_json, left_fields);

bool db_scrub_leave(const char *folder, int64_t now, const struct db_scrub_report *report, struct err *err) {
    struct finding_json items[DB_SCRUB_MAX_FINDINGS];
    char path[4096];

    CLEANUP(buf_free) struct buf text = BUF_INIT(LEFT_MAX_BYTES);
    for (size_t i = 0; i < report->finding_count; i++)
        items[i] = (struct finding_json){db_scrub_fault_name(report->findings[i].fault), report->findings[i].sha256};
    const struct left_json left = {
        .at = now,
        .images = report->images,
        .bytes = report->bytes,
        .corrupt = report->faults[DB_SCRUB_CORRUPT],
        .missing = report->faults[DB_SCRUB_MISSING],
        .orphan = report->faults[DB_SCRUB_ORPHAN],
        .findings = {.count = report->finding_count, .items = items},
    };
    json_write(&text, &left_shape, &left);
    if (!buf_ok(&text, LEFT_FILE, err))
        return false;
    if (snprintf(path, sizeof path, "%s/" LEFT_FILE, folder) >= (int)sizeof path)
        return err_set(err, ERR_INVALID, "path %.64s… is too long", path);
    return file_write_atomic(path, text.data, text.len, 0644, err); /* perhaps another user's than the server's */
}

static bool read_left(const char *path, struct arena *arena, struct db_scrub_report *ret_report, int64_t *ret_at, struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(LEFT_MAX_BYTES);
    struct left_json left;
    if (!file_read(path, &text, err))
        return false;
    if (!json_read(arena, text.data ? text.data : "", text.len, &left_shape, &left, NULL, err))
        return err_prefix(err, "%s", path);
    const struct finding_json *items = left.findings.items;
    struct db_scrub_report report = {
        .images = left.images, .bytes = left.bytes, .faults = {left.corrupt, left.missing, left.orphan}, .finding_count = left.findings.count};
    report.findings = arena_array(arena, report.finding_count, sizeof *report.findings);
    if (!report.findings && report.finding_count > 0)
        return err_no_memory(err);
    for (size_t i = 0; i < report.finding_count; i++)
        if (!db_scrub_fault_parse(items[i].fault, &report.findings[i].fault) || !hex_is_digest(items[i].sha256) ||
            !text_copy(report.findings[i].sha256, sizeof report.findings[i].sha256, items[i].sha256))
            return err_set(err, ERR_INVALID, "%s: finding %zu is none of ours", path, i + 1);
    *ret_report = report;
    *ret_at = left.at;
    return true;
}

bool db_scrub_collect(const char *folder, struct arena *arena, struct db_scrub_report *ret_report, int64_t *ret_at, bool *ret_found,
                      struct err *err) {
    const char *path = arena_printf(arena, "%s/" LEFT_FILE, folder);

    if (!path)
        return err_no_memory(err);
    *ret_found = file_exists(path);
    if (!*ret_found)
        return true;
    bool good = read_left(path, arena, ret_report, ret_at, err);
    if (unlink(path) != 0 && good)
        return err_errno(err, "%s", path);
    return good;
}
