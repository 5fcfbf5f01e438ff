/* A TUF client with the command line that the public conformance suite (github: theupdateframework/tuf-conformance, CLIENT-CLI.md) asks for, so that
 * anyone can run that suite against trust/. It speaks plain HTTP and reads other tools' files (trust/profile.h), and is therefore no part of Pawl.
 *
 *   tuf-client --metadata-dir DIR init TRUSTED_ROOT
 *   tuf-client --metadata-dir DIR --metadata-url URL refresh
 *   tuf-client --metadata-dir DIR --metadata-url URL --target-name NAME... --target-base-url URL --target-dir DIR download
 *
 * Exit code 0 when everything succeeded, else 1. Several targets are downloaded by one client, up to the first that fails. */
#include <ctype.h>
#include <curl/curl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/program.h"
#include "common/text.h"
#include "trust/client.h"

enum { TARGET_MAX = 64 * 1048576, URL_MAX = 4096, TIMEOUT_S = 60, SHA512_SIZE = 64, FILE_MODE = 0644, FOLDER_MODE = 0755 };

struct request {
    const char *metadata_dir, *metadata_url, *target_base_url, *target_dir;
    struct option_texts target_names;
    bool help;
    struct option_texts operands; /* the command, and the root for "init" */
};

struct session {
    const struct request *request;
    CURL *curl;
    struct tuf_client *client;
    struct tuf_fetch fetch;
    int64_t now;
};

static void percent_encode(struct buf *out, const char *text, const char *kept) {
    for (; *text != '\0'; text++) {
        bool plain = isalnum((unsigned char)*text) || strchr(kept, *text) != NULL;
        buf_printf(out, plain ? "%c" : "%%%02X", (unsigned char)*text);
    }
}

static size_t on_body(char *data, size_t size, size_t count, void *context) {
    struct buf *out = context;
    buf_append(out, data, size * count);
    return out->failed == ERR_NONE ? size * count : 0;
}

/* Appends the body of a 200 to *out, never more than its ceiling. */
static bool http_get(struct session *session, const char *url, struct buf *out, struct err *err) {
    char message[CURL_ERROR_SIZE] = "";
    long status = 0;
    curl_easy_reset(session->curl);
    CURLcode set = curl_easy_setopt(session->curl, CURLOPT_URL, url);
    const CURLcode more[] = {
        curl_easy_setopt(session->curl, CURLOPT_ERRORBUFFER, message),
        curl_easy_setopt(session->curl, CURLOPT_PROTOCOLS_STR, "http"),
        curl_easy_setopt(session->curl, CURLOPT_PROXY, ""),
        curl_easy_setopt(session->curl, CURLOPT_PATH_AS_IS, 1L),
        curl_easy_setopt(session->curl, CURLOPT_NOSIGNAL, 1L),
        curl_easy_setopt(session->curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S),
        curl_easy_setopt(session->curl, CURLOPT_WRITEFUNCTION, on_body),
        curl_easy_setopt(session->curl, CURLOPT_WRITEDATA, out),
        curl_easy_setopt(session->curl, CURLOPT_FAILONERROR, 1L),
    };
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        set = set == CURLE_OK ? more[i] : set;
    CURLcode done = set == CURLE_OK ? curl_easy_perform(session->curl) : set;
    curl_easy_getinfo(session->curl, CURLINFO_RESPONSE_CODE, &status);
    if (!buf_ok(out, url, err))
        return false;
    if (status == 404)
        return err_set(err, ERR_NOT_FOUND, "%s: not found", url);
    if (done != CURLE_OK || status != 200)
        return err_set(err, ERR_NETWORK, "%s: status %ld, %s", url, status, message[0] != '\0' ? message : curl_easy_strerror(done));
    return true;
}

static const char *slash_after(const char *url) {
    return text_ends(url, "/") ? "" : "/";
}

/* The client's way to metadata; out->max is the ceiling. */
static bool get_metadata(void *context, const char *name, size_t max_bytes, struct buf *out, struct err *err) {
    struct session *session = context;
    CLEANUP(buf_free) struct buf url = BUF_INIT(URL_MAX);
    buf_printf(&url, "%s%s", session->request->metadata_url, slash_after(session->request->metadata_url));
    percent_encode(&url, name, "._-~");
    return out->max <= max_bytes && buf_ok(&url, "URL", err) && http_get(session, url.data, out, err);
}

struct digest {
    const char *algorithm;
    const char *hex; /* as signed; NULL: not said */
};

enum { DIGEST_COUNT = 2 };

/* What the signed entry says in algorithms known here; ERR_TARGET when that is nothing. */
static bool read_digests(const struct metadata_target *target, struct digest ret_digests[DIGEST_COUNT], struct err *err) {
    static const char *const algorithms[DIGEST_COUNT] = {"sha256", "sha512"};
    bool any = false;
    for (size_t i = 0; i < DIGEST_COUNT; i++) {
        const char *hex = json_string_value(json_object_get(json_object_get(target->entry, "hashes"), algorithms[i]));
        ret_digests[i] = (struct digest){.algorithm = algorithms[i], .hex = hex};
        any = any || hex != NULL;
    }
    return any || err_set(err, ERR_TARGET, "%s: signed with no hash that is known here", target->path);
}

static bool check_digest(const struct metadata_target *target, const struct digest *digest, const struct buf *data, struct err *err) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned len = 0;
    const EVP_MD *algorithm = EVP_get_digestbyname(digest->algorithm);
    if (algorithm == NULL || EVP_Digest(data->len > 0 ? data->data : "", data->len, bytes, &len, algorithm, NULL) != 1)
        return err_set(err, ERR_INTERNAL, "%s cannot be computed here", digest->algorithm);
    hex_encode(bytes, len, hex);
    return text_equal(hex, digest->hex) || err_set(err, ERR_HASH, "%s: not the %s that was signed", target->path, digest->algorithm);
}

/* Length and every known hash. */
static bool check_target(const struct metadata_target *target, const struct digest digests[DIGEST_COUNT], const struct buf *data, struct err *err) {
    if ((int64_t)data->len != target->length)
        return err_set(err, ERR_LENGTH, "%s: %zu bytes, signed were %lld", target->path, data->len, (long long)target->length);
    for (size_t i = 0; i < DIGEST_COUNT; i++)
        if (digests[i].hex != NULL && !check_digest(target, &digests[i], data, err))
            return false;
    return true;
}

/* target_base_url/dir/<hash>.file with consistent snapshots, else target_base_url/dir/file. */
static void write_target_url(const struct session *session, const struct metadata_target *target, const struct digest digests[DIGEST_COUNT],
                             struct buf *url) {
    const char *base = session->request->target_base_url;
    const char *slash = strrchr(target->path, '/');
    const char *file = slash != NULL ? slash + 1 : target->path;
    CLEANUP(buf_free) struct buf folder = BUF_INIT(URL_MAX);
    buf_append(&folder, target->path, (size_t)(file - target->path));
    buf_byte(&folder, '\0');
    buf_printf(url, "%s%s", base, slash_after(base));
    percent_encode(url, folder.data != NULL ? folder.data : "", "._-~/");
    if (tuf_client_trusted(session->client)->root->consistent_snapshot) {
        percent_encode(url, digests[0].hex != NULL ? digests[0].hex : digests[1].hex, "");
        buf_byte(url, '.');
    }
    percent_encode(url, file, "._-~");
}

/* Is a file there that is what was signed? Then nothing is downloaded. */
static bool is_cached(const char *path, const struct metadata_target *target, const struct digest digests[DIGEST_COUNT]) {
    CLEANUP(buf_free) struct buf data = BUF_INIT((size_t)target->length + 1);
    struct err ignored;
    return file_exists(path) && file_read(path, &data, &ignored) && check_target(target, digests, &data, &ignored);
}

static bool fetch_target(struct session *session, const struct metadata_target *target, const struct digest digests[DIGEST_COUNT], const char *path,
                         struct err *err) {
    CLEANUP(buf_free) struct buf url = BUF_INIT(URL_MAX);
    CLEANUP(buf_free) struct buf data = BUF_INIT((size_t)target->length);
    write_target_url(session, target, digests, &url);
    return buf_ok(&url, "URL", err) && http_get(session, url.data, &data, err) && check_target(target, digests, &data, err) &&
           file_write_atomic(path, data.data != NULL ? data.data : "", data.len, FILE_MODE, err);
}

static bool download(struct session *session, const char *name, struct err *err) {
    const struct metadata_target *target = NULL;
    struct digest digests[DIGEST_COUNT];
    CLEANUP(buf_free) struct buf path = BUF_INIT(URL_MAX);
    if (!tuf_client_target(session->client, &session->fetch, session->now, name, &target, err) || !read_digests(target, digests, err))
        return false;
    if (target->length > TARGET_MAX)
        return err_set(err, ERR_LENGTH, "%s: longer than this test program takes", name);
    buf_printf(&path, "%s/", session->request->target_dir);
    percent_encode(&path, name, "._-~");
    return buf_ok(&path, "path", err) && (is_cached(path.data, target, digests) || fetch_target(session, target, digests, path.data, err));
}

/* The suite wants the trusted root in DIR/root.json from the start. */
static bool run_init(const struct request *request, struct err *err) {
    CLEANUP(buf_free) struct buf root = BUF_INIT(METADATA_ROOT_MAX);
    CLEANUP(buf_free) struct buf path = BUF_INIT(URL_MAX);
    if (request->operands.count != 2)
        return err_set(err, ERR_USAGE, "init takes the trusted root's file");
    buf_printf(&path, "%s/root.json", request->metadata_dir);
    return buf_ok(&path, "path", err) && file_read(request->operands.items[1], &root, err) &&
           tuf_client_pin(request->metadata_dir, root.data != NULL ? root.data : "", root.len, err) &&
           (file_exists(path.data) || file_write_new(path.data, root.data, root.len, FILE_MODE, err));
}

static bool run_session(const struct request *request, bool downloads, struct err *err) {
    CLEANUP(tuf_client_cleanup) struct tuf_client *client = NULL;
    if (request->metadata_url == NULL || (downloads && (request->target_base_url == NULL || request->target_dir == NULL)))
        return err_set(err, ERR_USAGE, "the URLs or folders of this command are missing");
    if (!tuf_client_open(request->metadata_dir, &client, err))
        return false;
    struct session session = {.request = request, .client = client, .curl = curl_easy_init(), .now = clock_now()};
    session.fetch = (struct tuf_fetch){.get = get_metadata, .context = &session};
    bool fine = session.curl != NULL || err_no_memory(err);
    fine = fine && tuf_client_refresh(client, &session.fetch, session.now, err) &&
           (!downloads || file_make_dirs(request->target_dir, FOLDER_MODE, err));
    for (size_t i = 0; fine && downloads && i < request->target_names.count; i++)
        fine = download(&session, request->target_names.items[i], err);
    curl_easy_cleanup(session.curl);
    return fine;
}

static bool run(const struct request *request, struct err *err) {
    const char *command = request->operands.count > 0 ? request->operands.items[0] : NULL;
    if (request->metadata_dir == NULL)
        return err_set(err, ERR_USAGE, "--metadata-dir is missing");
    if (text_equal(command, "init"))
        return run_init(request, err);
    if (text_equal(command, "refresh"))
        return run_session(request, false, err);
    if (text_equal(command, "download"))
        return request->target_names.count > 0 ? run_session(request, true, err) : err_set(err, ERR_USAGE, "--target-name is missing");
    return err_set(err, ERR_USAGE, "the command is init, refresh or download");
}

int main(int argc, char **argv) {
    struct request request = {0};
    struct err err = {0};
    const struct option options[] = {
        {"metadata-dir", 0, OPTION_TEXT, &request.metadata_dir, "DIR", "where trusted metadata is kept"},
        {"metadata-url", 0, OPTION_TEXT, &request.metadata_url, "URL", "the repository's metadata, plain http"},
        {"target-name", 0, OPTION_TEXTS, &request.target_names, "PATH", "what to download; may be given several times"},
        {"target-base-url", 0, OPTION_TEXT, &request.target_base_url, "URL", "the repository's targets, plain http"},
        {"target-dir", 0, OPTION_TEXT, &request.target_dir, "DIR", "where downloads go"},
        {"help", 'h', OPTION_FLAG, &request.help, NULL, "shows this"},
    };
    bool fine = option_parse(options, ARRAY_LEN(options), argc, argv, &request.operands, &err);
    if (fine && request.help) {
        puts("usage: tuf-client OPTIONS init TRUSTED_ROOT | refresh | download");
        option_help(stdout, options, ARRAY_LEN(options));
        return 0;
    }
    if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK)
        return 1;
    fine = fine && run(&request, &err);
    curl_global_cleanup();
    if (!fine)
        fprintf(stderr, "tuf-client: %s: %s\n", err_tag(err.code), err.text);
    return fine ? 0 : 1;
}
