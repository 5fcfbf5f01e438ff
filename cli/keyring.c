#include "cli/keyring.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/random.h"
#include "common/text.h"
#include "trust/repository.h"

#define INDEX_FILE "keys.json"
#define ROOT_FILE  "1.root.json"

enum { INDEX_MAX_BYTES = 256 * 1024, KEYS_MAX = CLI_KEYRING_ROOTS_MAX + 5 };

static const struct json_field entry_fields[] = {
    JSON_FIELD(struct cli_keyring_entry, name, JSON_TEXT, JSON_REQUIRED, .min = 1, .max = 64),
    JSON_FIELD(struct cli_keyring_entry, role, JSON_TEXT, JSON_REQUIRED, .min = 1, .max = 64),
    JSON_FIELD(struct cli_keyring_entry, file, JSON_TEXT, JSON_REQUIRED, .min = 1, .max = 256),
    JSON_FIELD(struct cli_keyring_entry, keyid, JSON_TEXT, JSON_REQUIRED, .min = 1, .max = 128),
    JSON_FIELD(struct cli_keyring_entry, keytype, JSON_TEXT, JSON_REQUIRED, .min = 1, .max = 64),
    JSON_FIELD(struct cli_keyring_entry, scheme, JSON_TEXT, JSON_REQUIRED, .min = 1, .max = 64),
    JSON_FIELD(struct cli_keyring_entry, public, JSON_TEXT, JSON_REQUIRED, .min = 1, .max = KEY_PUBLIC_MAX),
};
static const struct json_shape entry_shape = JSON_SHAPE(struct cli_keyring_entry, entry_fields);
static const struct json_field index_fields[] = {
    JSON_FIELD(struct cli_keyring, keys, JSON_STRUCTS, JSON_REQUIRED, .shape = &entry_shape),
};
static const struct json_shape index_shape = JSON_SHAPE(struct cli_keyring, index_fields);

const char *cli_keyring_path(struct arena *arena, const char *folder, const char *file) {
    return arena_printf(arena, "%s/%s", folder, file);
}

/* What a keyring holds besides its root keys. */
static const struct {
    const char *name, *role, *file;
    enum key_type type;
    bool online;
} fixed_keys[] = {
    {"targets-1", "targets", "targets-1.pem", KEY_ECDSA_P256, false},
    {"snapshot-1", "snapshot", "snapshot-1.pem", KEY_ECDSA_P256, false},
    {"timestamp", "timestamp", "online/timestamp.pem", KEY_ED25519, true},
    {"directive", "directive", "online/directive.pem", KEY_ED25519, true},
    {"audit", "audit", "online/audit.pem", KEY_ED25519, true},
};

/* Keys in the making. */
struct making {
    struct arena *arena;
    const struct cli_keyring_plan *plan;
    const char *folder; /* the temporary one */
    size_t count;
    struct key *keys[KEYS_MAX];
    struct cli_keyring_entry entries[KEYS_MAX];
    bool online[KEYS_MAX];
};

static void free_keys(struct making *making) {
    for (size_t i = 0; i < making->count; i++)
        key_free(making->keys[i]);
}

static bool make_key(struct making *making, const char *name, const char *role, const char *file, enum key_type type, bool online, struct err *err) {
    struct key *key = NULL;
    if (name == NULL || file == NULL)
        return err_no_memory(err);
    if (!key_generate(type, &key, err))
        return false;
    making->keys[making->count] = key;
    making->online[making->count] = online;
    making->entries[making->count] = (struct cli_keyring_entry){
        .name = name,
        .role = role,
        .file = file,
        .keyid = key_id(key),
        .keytype = key_keytype(key),
        .scheme = key_scheme(key),
        .public = key_public(key),
    };
    making->count++;
    return true;
}

static bool make_keys(struct making *making, struct err *err) {
    for (int64_t i = 1; i <= making->plan->roots; i++) {
        const char *name = arena_printf(making->arena, "root-%lld", (long long)i);
        const char *file = arena_printf(making->arena, "root-%lld.pem", (long long)i);
        if (!make_key(making, name, "root", file, KEY_ECDSA_P256, false, err))
            return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(fixed_keys); i++)
        if (!make_key(making, fixed_keys[i].name, fixed_keys[i].role, fixed_keys[i].file, fixed_keys[i].type, fixed_keys[i].online, err))
            return false;
    return true;
}

static struct repository_signers signers_of(const struct making *making, size_t first, size_t count, size_t threshold) {
    return (struct repository_signers){.keys = (const struct key *const *)making->keys + first, .count = count, .threshold = threshold};
}

/* Root 1, signed by the first `threshold` root keys. */
static bool write_root(struct making *making, struct err *err) {
    const struct cli_keyring_plan *plan = making->plan;
    size_t roots = (size_t)plan->roots;
    const struct repository_root content = {
        .version = 1,
        .expires_at = repository_expiry(METADATA_ROOT, plan->now),
        .root = signers_of(making, 0, roots, (size_t)plan->threshold),
        .targets = signers_of(making, roots, 1, 1),
        .snapshot = signers_of(making, roots + 1, 1, 1),
        .timestamp = signers_of(making, roots + 2, 1, 1),
        .directive = signers_of(making, roots + 3, 1, 1),
    };
    CLEANUP(draft_cleanup) struct draft *draft = NULL;
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(METADATA_ROOT_MAX);
    if (!repository_root(&content, &draft, err))
        return false;
    for (int64_t i = 0; i < plan->threshold; i++)
        if (!draft_sign(draft, making->keys[i], err))
            return false;
    const char *path = cli_keyring_path(making->arena, making->folder, ROOT_FILE);
    if (path == NULL)
        return err_no_memory(err);
    return draft_bytes(draft, &bytes, err) && file_write_new(path, bytes.data, bytes.len, 0444, err);
}

static bool write_index(struct making *making, struct err *err) {
    const struct cli_keyring ring = {.keys = {.count = making->count, .items = making->entries}};
    CLEANUP(buf_free) struct buf compact = BUF_INIT(INDEX_MAX_BYTES);
    CLEANUP(buf_free) struct buf text = BUF_INIT(INDEX_MAX_BYTES);
    json_write(&compact, &index_shape, &ring);
    if (!buf_ok(&compact, INDEX_FILE, err) || !json_pretty(&text, compact.data, compact.len, err))
        return false;
    buf_byte(&text, '\n');
    const char *path = cli_keyring_path(making->arena, making->folder, INDEX_FILE);
    if (path == NULL)
        return err_no_memory(err);
    return buf_ok(&text, INDEX_FILE, err) && file_write_new(path, text.data, text.len, 0644, err);
}

static bool write_folder(struct making *making, struct err *err) {
    const char *online = cli_keyring_path(making->arena, making->folder, "online");
    if (online == NULL)
        return err_no_memory(err);
    if (!file_make_dirs(making->folder, 0700, err) || !file_make_dirs(online, 0700, err))
        return false;
    for (size_t i = 0; i < making->count; i++) {
        const struct cli_keyring_secret *secret = making->online[i] ? &making->plan->online : &making->plan->offline;
        const char *path = cli_keyring_path(making->arena, making->folder, making->entries[i].file);
        if (path == NULL)
            return err_no_memory(err);
        if (!key_save_private(making->keys[i], path, secret->passphrase, secret->len, err))
            return false;
    }
    return write_root(making, err) && write_index(making, err) && file_sync_dir(online, err) && file_sync_dir(making->folder, err);
}

/* Best effort: what a failed creation left in the temporary folder. */
static void remove_folder(const struct making *making) {
    static const char *const others[] = {ROOT_FILE, INDEX_FILE};
    for (size_t i = 0; i < making->count + ARRAY_LEN(others); i++) {
        const char *path = cli_keyring_path(making->arena, making->folder, i < making->count ? making->entries[i].file : others[i - making->count]);
        if (path != NULL)
            unlink(path);
    }
    const char *online = cli_keyring_path(making->arena, making->folder, "online");
    if (online != NULL)
        rmdir(online);
    rmdir(making->folder);
}

/* True when something is there that is not an empty folder. */
static bool is_taken(const char *path) {
    struct stat info;
    if (lstat(path, &info) != 0)
        return false;
    DIR *folder = S_ISDIR(info.st_mode) ? opendir(path) : NULL;
    if (folder == NULL)
        return true;
    size_t entries = 0;
    while (readdir(folder) != NULL)
        entries++;
    closedir(folder);
    return entries > 2; /* "." and ".." */
}

bool cli_keyring_check_plan(const struct cli_keyring_plan *plan, struct err *err) {
    if (plan->roots < 1 || plan->roots > CLI_KEYRING_ROOTS_MAX)
        return err_set(err, ERR_USAGE, "--roots %lld must be from 1 to %d", (long long)plan->roots, CLI_KEYRING_ROOTS_MAX);
    if (plan->threshold < 1 || plan->threshold > plan->roots)
        return err_set(err, ERR_USAGE, "--threshold %lld must be from 1 to the number of root keys (%lld)", (long long)plan->threshold,
                       (long long)plan->roots);
    if (is_taken(plan->folder))
        return err_set(err, ERR_IO, "%s exists already; keys are never overwritten", plan->folder);
    return true;
}

bool cli_keyring_create(struct arena *arena, const struct cli_keyring_plan *plan, struct err *err) {
    char unique[17];
    random_hex(unique, sizeof(unique) / 2);
    CLEANUP(free_keys) struct making making = {.arena = arena, .plan = plan};
    making.folder = arena_printf(arena, "%s.new-%s", plan->folder, unique);
    if (making.folder == NULL)
        return err_no_memory(err);
    bool written = cli_keyring_check_plan(plan, err) && make_keys(&making, err) && write_folder(&making, err);
    if (written && rename(making.folder, plan->folder) != 0) {
        bool taken = errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR;
        written = taken ? err_set(err, ERR_IO, "%s exists already; keys are never overwritten", plan->folder)
                        : err_errno(err, "make %s", plan->folder);
    }
    if (!written) {
        remove_folder(&making);
        return false;
    }
    return file_sync_parent(plan->folder, err);
}

bool cli_keyring_read(struct arena *arena, const char *folder, struct cli_keyring *ret_ring, struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(INDEX_MAX_BYTES);
    const char *path = cli_keyring_path(arena, folder, INDEX_FILE);
    struct cli_keyring ring;
    if (path == NULL)
        return err_no_memory(err);
    if (!file_read(path, &text, err)) {
        err->code = ERR_KEY;
        return err_prefix(err, "%s is no key folder", folder);
    }
    if (!json_read(arena, text.data == NULL ? "" : text.data, text.len, &index_shape, &ring, NULL, err)) {
        err->code = ERR_KEY;
        return err_prefix(err, "%s", path);
    }
    const struct cli_keyring_entry *entries = ring.keys.items;
    for (size_t i = 0; i < ring.keys.count; i++)
        if (entries[i].file[0] == '/' || strstr(entries[i].file, "..") != NULL)
            return err_set(err, ERR_KEY, "%s: key '%s' lies outside the folder: %s", path, entries[i].name, entries[i].file);
    ring.folder = folder;
    *ret_ring = ring;
    return true;
}

void cli_keyring_write(const struct cli_keyring *ring, struct buf *out) {
    json_write(out, &index_shape, ring);
}

const struct cli_keyring_entry *cli_keyring_find(const struct cli_keyring *ring, const char *name) {
    const struct cli_keyring_entry *entries = ring->keys.items;
    for (size_t i = 0; i < ring->keys.count; i++)
        if (text_equal(entries[i].name, name))
            return &entries[i];
    return NULL;
}

bool cli_keyring_open(struct arena *arena, const struct cli_keyring *ring, const struct cli_keyring_entry *entry,
                      const struct cli_keyring_secret *secret, struct key **ret_key, struct err *err) {
    CLEANUP(key_cleanup) struct key *key = NULL;
    const char *path = cli_keyring_path(arena, ring->folder, entry->file);
    if (path == NULL)
        return err_no_memory(err);
    if (!key_load_private(path, secret->passphrase, secret->len, &key, err)) {
        if (err->code == ERR_NOT_FOUND)
            err->code = ERR_KEY;
        return false;
    }
    if (!text_equal(key_public(key), entry->public))
        return err_set(err, ERR_KEY, "%s is not the key that %s/%s names '%s'", path, ring->folder, INDEX_FILE, entry->name);
    *ret_key = key;
    key = NULL;
    return true;
}

bool cli_keyring_read_root(struct arena *arena, const char *folder, struct buf *out, struct err *err) {
    const char *path = cli_keyring_path(arena, folder, ROOT_FILE);
    if (path == NULL)
        return err_no_memory(err);
    if (!file_read(path, out, err)) {
        err->code = ERR_KEY;
        return false;
    }
    return true;
}
