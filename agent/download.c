#include "agent/download.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/text.h"

enum { SPARE_BYTES = 65536, RANGE_SIZE = 32, PATH_MAX_BYTES = 4096 };

#define OPENED_SUFFIX ".opened.part"

static const char *folder_path(const struct agent_state *state) {
    return arena_printf(state->arena, "%s/download", state->folder);
}

static const char *file_path(const struct agent_state *state, const char *sha256) {
    return arena_printf(state->arena, "%s/download/%s.part", state->folder, sha256);
}

static bool is_ours(const struct agent_state *state, const struct release *release) {
    return state->partial != NULL && text_equal(state->partial->sha256, release->sha256);
}

int64_t agent_download_have(const struct agent_state *state, const struct release *release) {
    struct stat info;
    const char *path = file_path(state, release->sha256);
    if (!is_ours(state, release) || path == NULL || stat(path, &info) != 0 || info.st_size > release->length)
        return 0;
    return info.st_size;
}

const char *agent_download_opened_path(const struct agent_state *state, const struct release *release) {
    return arena_printf(state->arena, "%s/download/%s" OPENED_SUFFIX, state->folder, release->sha256);
}

bool agent_download_check_space(const struct agent_state *state, const struct release *release, int64_t opened_bytes, struct err *err) {
    struct statvfs space;
    if (statvfs(state->folder, &space) != 0)
        return err_errno(err, "free space of %s", state->folder);
    int64_t rest = release->length - agent_download_have(state, release) + opened_bytes + SPARE_BYTES;
    uint64_t blocks = ((uint64_t)rest + space.f_frsize - 1) / space.f_frsize;
    if (blocks > space.f_bavail)
        return err_set(err, ERR_NO_SPACE, "%s: %lld bytes are needed, %llu are free", state->folder, (long long)rest,
                       (unsigned long long)space.f_bavail * space.f_frsize);
    return true;
}

/* Unlinks what ends with `suffix`, but not `keep`. */
static bool remove_files(const char *folder, const char *suffix, const char *keep, struct err *err) {
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return errno == ENOENT || err_errno(err, "folder %s", folder);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (text_ends(entry->d_name, suffix) && !text_equal(entry->d_name, keep))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    return true;
}

static bool remove_all(const char *state_folder, const char *suffix, struct err *err) {
    CLEANUP(buf_free) struct buf folder = BUF_INIT(PATH_MAX_BYTES);
    buf_printf(&folder, "%s/download", state_folder);
    return buf_ok(&folder, "the download folder", err) && remove_files(folder.data, suffix, NULL, err);
}

bool agent_download_sweep(const char *state_folder, struct err *err) {
    return remove_all(state_folder, OPENED_SUFFIX, err);
}

bool agent_download_drop(const char *state_folder, struct err *err) {
    return remove_all(state_folder, ".part", err);
}

bool agent_download_discard(struct agent_state *state, const char *keep_sha256, struct err *err) {
    const char *folder = folder_path(state);
    const char *keep = keep_sha256 != NULL ? arena_printf(state->arena, "%s.part", keep_sha256) : NULL;
    if (folder == NULL || (keep_sha256 != NULL && keep == NULL))
        return err_no_memory(err);
    if (state->partial != NULL && !text_equal(state->partial->sha256, keep_sha256)) {
        state->partial = NULL;
        if (!agent_state_save(state, err))
            return false;
    }
    return remove_files(folder, ".part", keep, err);
}

/* A download on its way. */
struct fetch {
    struct agent_state *state;
    const struct release *release;
    struct agent_have have;
    int fd;
    int64_t at; /* where the next byte goes */
    enum agent_body body;
};

/* Before the first byte of a file is written the state says whose it is. */
static bool remember(struct fetch *fetch, const char *etag, struct err *err) {
    struct agent_state *state = fetch->state;
    struct agent_partial *partial = arena_alloc(state->arena, sizeof(*partial));
    if (partial == NULL)
        return err_no_memory(err);
    partial->sha256 = arena_strdup(state->arena, fetch->release->sha256);
    partial->etag = etag[0] != '\0' ? arena_strdup(state->arena, etag) : NULL;
    if (partial->sha256 == NULL || (etag[0] != '\0' && partial->etag == NULL))
        return err_no_memory(err);
    state->partial = partial;
    return agent_state_save(state, err);
}

static bool start_at(struct fetch *fetch, int64_t offset, struct err *err) {
    if (ftruncate(fetch->fd, offset) != 0 || lseek(fetch->fd, offset, SEEK_SET) != offset)
        return err_errno(err, "the download");
    fetch->at = offset;
    return true;
}

static bool begin(void *context, const struct agent_response *response, bool *ret_take, struct err *err) {
    struct fetch *fetch = context;
    char at[24];
    fetch->body = agent_response_decide(response, &fetch->have, err);
    *ret_take = fetch->body == AGENT_BODY_APPEND || fetch->body == AGENT_BODY_WHOLE;
    switch (fetch->body) {
    case AGENT_BODY_REFUSE:
    case AGENT_BODY_ANEW:
        return true; /* the body says why */
    case AGENT_BODY_APPEND:
        snprintf(at, sizeof(at), "%lld", (long long)fetch->have.have_bytes);
        log_event(LOG_INFO, "download resumed", "release", fetch->release->path, "at_bytes", at, (char *)NULL);
        return start_at(fetch, fetch->have.have_bytes, err);
    case AGENT_BODY_WHOLE:
        log_event(LOG_INFO, "download started", "release", fetch->release->path, (char *)NULL);
        return start_at(fetch, 0, err) && remember(fetch, response->etag, err);
    }
    return err_set(err, ERR_INTERNAL, "an unknown decision on a download");
}

static bool write_bytes(void *context, const void *data, size_t len, struct err *err) {
    struct fetch *fetch = context;
    if ((int64_t)len > fetch->release->length - fetch->at)
        return err_set(err, ERR_LENGTH, "%s: the server sends more than the %lld bytes that are signed", fetch->release->path,
                       (long long)fetch->release->length);
    if (!file_write_all(fetch->fd, data, len, err))
        return err_prefix(err, "the download");
    fetch->at += (int64_t)len;
    return true;
}

/* One request. ret_again: the server said that there is nothing to resume. */
static bool try_once(struct fetch *fetch, struct agent_transport *transport, bool *ret_again, struct err *err) {
    CLEANUP(buf_free) struct buf problem = BUF_INIT(AGENT_PROBLEM_MAX);
    char range[RANGE_SIZE];
    struct agent_response response;
    const struct agent_sink sink = {.begin = begin, .write = write_bytes, .context = fetch};
    const char *path = arena_printf(fetch->state->arena, "/firmware/%s", fetch->release->path);
    if (path == NULL)
        return err_no_memory(err);
    bool resume = agent_response_may_resume(&fetch->have);
    snprintf(range, sizeof(range), "%lld-", (long long)fetch->have.have_bytes);
    fetch->body = AGENT_BODY_REFUSE;
    if (!agent_transport_download(transport, path, resume ? range : NULL, resume ? fetch->have.etag : NULL, &sink, &problem, &response, err))
        return false;
    *ret_again = fetch->body == AGENT_BODY_ANEW;
    if (fetch->body == AGENT_BODY_REFUSE && response.problem)
        return agent_transport_refused(&response, &problem, fetch->release->path, err);
    return fetch->body != AGENT_BODY_REFUSE;
}

static bool finish(struct fetch *fetch, struct err *err) {
    if (fetch->at != fetch->release->length)
        return err_set(err, ERR_NETWORK, "%s: the server stopped at %lld of %lld bytes", fetch->release->path, (long long)fetch->at,
                       (long long)fetch->release->length);
    return fsync(fetch->fd) == 0 || err_errno(err, "sync the download");
}

static bool run(struct fetch *fetch, struct agent_transport *transport, struct err *err) {
    bool again = false;
    if (!try_once(fetch, transport, &again, err))
        return false;
    if (again) {
        fetch->have.have_bytes = 0;
        if (!start_at(fetch, 0, err) || !try_once(fetch, transport, &again, err))
            return false;
    }
    return finish(fetch, err);
}

bool agent_download_fetch(struct agent_state *state, struct agent_transport *transport, const struct release *release, struct err *err) {
    const char *folder = folder_path(state), *path = file_path(state, release->sha256);
    if (folder == NULL || path == NULL)
        return err_no_memory(err);
    if (!file_make_dirs(folder, 0700, err) || !agent_download_discard(state, release->sha256, err))
        return false;
    int64_t have = agent_download_have(state, release);
    if (have == release->length)
        return true;
    CLEANUP(file_close) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, "%s", path);
    struct fetch fetch = {.state = state, .release = release, .fd = fd};
    fetch.have = (struct agent_have){
        .have_bytes = have, .signed_bytes = release->length, .etag = is_ours(state, release) ? state->partial->etag : NULL};
    return run(&fetch, transport, err);
}

bool agent_download_open(const struct agent_state *state, const struct release *release, const char **ret_path, int *ret_fd, struct err *err) {
    const char *path = file_path(state, release->sha256);
    if (path == NULL)
        return err_no_memory(err);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, "%s", path);
    *ret_path = path;
    *ret_fd = fd;
    return true;
}
