#include "cli/tuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/text.h"

enum { FOLDER_NAME_DIGITS = 16 };

/* One refresh. */
struct fetching {
    struct cli *cli;
    const struct cli_bundle *bundle; /* NULL: from the server */
    bool no_timestamp;               /* the server said that there is none */
};

/* Stands in the state folder since something published was verified once. A new root can make the client drop all that it kept, but not this. */
static const char published_marker[] = "published";

static bool fetch_file(void *context, const char *name, size_t max_bytes, struct buf *out, struct err *err) {
    struct fetching *fetching = context;
    struct cli_reply reply;
    const char *path = arena_printf(&fetching->cli->arena, "/api/v1/metadata/%s", name);
    const struct cli_request request = {.method = "GET", .path = path, .max_reply_bytes = max_bytes, .missing_ok = true};
    if (path == NULL)
        return err_no_memory(err);
    if (!cli_client_call(fetching->cli, &request, &reply, err))
        return err_prefix(err, "%s", name);
    if (reply.status == 404) {
        fetching->no_timestamp = fetching->no_timestamp || text_equal(name, "timestamp.json");
        return err_set(err, ERR_NOT_FOUND, "the server has no %s", name);
    }
    buf_append(out, reply.body, reply.len);
    return buf_ok(out, name, err);
}

static bool fetch_from_bundle(void *context, const char *name, size_t max_bytes, struct buf *out, struct err *err) {
    struct fetching *fetching = context;
    const struct cli_bundle_file *file = cli_bundle_find(fetching->bundle, name);
    if (file == NULL) {
        fetching->no_timestamp = fetching->no_timestamp || text_equal(name, "timestamp.json");
        return err_set(err, ERR_NOT_FOUND, "the bundle has no %s", name);
    }
    if (file->data.len > max_bytes)
        return err_set(err, ERR_TOO_LARGE, "%s in the bundle has more than %zu bytes", name, max_bytes);
    buf_append(out, file->data.data, file->data.len);
    return buf_ok(out, name, err);
}

static bool default_folder(struct cli *cli, const struct buf *root, const char **ret_folder, struct err *err) {
    char digest[SHA256_HEX_SIZE];
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (!hash_sha256_hex(root->data, root->len, digest, err))
        return false;
    if (state != NULL && state[0] == '/')
        *ret_folder = arena_printf(&cli->arena, "%s/pawl/%.*s", state, FOLDER_NAME_DIGITS, digest);
    else if (home != NULL)
        *ret_folder = arena_printf(&cli->arena, "%s/.local/state/pawl/%.*s", home, FOLDER_NAME_DIGITS, digest);
    else
        return err_set(err, ERR_USAGE, "neither HOME nor XDG_STATE_HOME is set: give the profile a state_dir");
    return *ret_folder != NULL || err_no_memory(err);
}

/* Only a file that is certainly not there says no. */
static bool is_marked(const struct cli_tuf *tuf) {
    return access(tuf->marker, F_OK) == 0 || errno != ENOENT;
}

static bool mark_published(const struct cli_tuf *tuf, struct err *err) {
    return is_marked(tuf) || file_write_atomic(tuf->marker, "", 0, 0600, err);
}

bool cli_tuf_open(struct cli *cli, const char *root_path, struct cli_tuf *ret_tuf, struct err *err) {
    CLEANUP(buf_free) struct buf root = BUF_INIT(METADATA_ROOT_MAX);
    const char *folder = cli->profile.state_dir;
    struct cli_tuf tuf = {0};
    if (!file_read(root_path, &root, err)) {
        err->code = ERR_KEY;
        return err_prefix(err, "the root that everything is verified from");
    }
    if (folder == NULL && !default_folder(cli, &root, &folder, err))
        return false;
    tuf.marker = arena_printf(&cli->arena, "%s/%s", folder, published_marker);
    if (tuf.marker == NULL)
        return err_no_memory(err);
    if (!tuf_client_pin(folder, root.data, root.len, err) || !tuf_client_open(folder, &tuf.client, err))
        return err_prefix(err, "state in %s", folder);
    tuf.trusted = tuf_client_trusted(tuf.client);
    bool has_nothing = tuf.trusted->timestamp == NULL && tuf.trusted->snapshot == NULL && tuf.trusted->targets == NULL;
    if (!has_nothing && !mark_published(&tuf, err)) {
        cli_tuf_close(&tuf);
        return false;
    }
    tuf.unpublished = has_nothing && !is_marked(&tuf);
    *ret_tuf = tuf;
    return true;
}

void cli_tuf_close(struct cli_tuf *tuf) {
    tuf_client_free(tuf->client);
    tuf->client = NULL;
}

bool cli_tuf_refresh(struct cli *cli, struct cli_tuf *tuf, const struct cli_bundle *bundle, int64_t now, struct err *err) {
    struct fetching fetching = {.cli = cli, .bundle = bundle};
    const struct tuf_fetch fetch = {.get = bundle != NULL ? fetch_from_bundle : fetch_file, .context = &fetching};
    const char *whose = bundle != NULL ? "metadata in the bundle" : "metadata of the server";
    bool refreshed = tuf_client_refresh(tuf->client, &fetch, now, err) && tuf_client_load_all(tuf->client, &fetch, now, err);
    tuf->trusted = tuf_client_trusted(tuf->client);
    /* A server that has published nothing yet has no timestamp. One that has, and hides it, is told from it by our own state. */
    if (!refreshed && tuf->unpublished && fetching.no_timestamp && err->code == ERR_NOT_FOUND)
        return trusted_check_root(tuf->trusted, now, err);
    if (!refreshed)
        return err_prefix(err, "%s", whose);
    tuf->unpublished = false;
    return mark_published(tuf, err);
}

static bool collect(struct arena *arena, const char *name, const void *data, size_t len, struct json_list *files, struct err *err) {
    struct cli_bundle_file *items = files->items;
    uint8_t *copy = arena_memdup(arena, data, len);
    if (copy == NULL || name == NULL)
        return err_no_memory(err);
    items[files->count++] = (struct cli_bundle_file){.name = name, .data = {.len = len, .data = copy}};
    return true;
}

static bool collect_metadata(struct arena *arena, const struct metadata *metadata, struct json_list *files, struct err *err) {
    return metadata == NULL || collect(arena, metadata_file_name(arena, metadata), metadata->bytes, metadata->len, files, err);
}

/* The roots between the first and the newest are kept by nobody but the server; they prove themselves. */
static bool collect_roots(struct cli *cli, const struct cli_tuf *tuf, struct json_list *files, struct err *err) {
    struct fetching fetching = {.cli = cli};
    for (int64_t version = 2; version <= tuf->trusted->root->version; version++) {
        CLEANUP(buf_free) struct buf root = BUF_INIT(METADATA_ROOT_MAX);
        const char *name = arena_printf(&cli->arena, "%lld.root.json", (long long)version);
        if (name == NULL)
            return err_no_memory(err);
        if (!fetch_file(&fetching, name, METADATA_ROOT_MAX, &root, err) || !collect(&cli->arena, name, root.data, root.len, files, err))
            return false;
    }
    return true;
}

bool cli_tuf_collect(struct cli *cli, const struct cli_tuf *tuf, struct json_list *ret_files, struct err *err) {
    const struct trusted *trusted = tuf->trusted;
    size_t most = (size_t)trusted->root->version + 3 + trusted->delegated_count;
    struct json_list files = {.items = arena_array(&cli->arena, most, sizeof(struct cli_bundle_file))};
    if (files.items == NULL)
        return err_no_memory(err);
    if (!collect_roots(cli, tuf, &files, err) || !collect_metadata(&cli->arena, trusted->timestamp, &files, err) ||
        !collect_metadata(&cli->arena, trusted->snapshot, &files, err) || !collect_metadata(&cli->arena, trusted->targets, &files, err))
        return false;
    for (size_t i = 0; i < trusted->delegated_count; i++)
        if (!collect_metadata(&cli->arena, trusted->delegated[i].metadata, &files, err))
            return false;
    *ret_files = files;
    return true;
}

bool cli_tuf_last_release(const struct trusted_releases *releases, const char *product, struct release *ret_release) {
    bool found = false;
    for (size_t i = 0; i < releases->count; i++) { /* ordered by product, then sequence */
        if (!text_equal(releases->items[i].product, product))
            continue;
        *ret_release = releases->items[i];
        found = true;
    }
    return found;
}
