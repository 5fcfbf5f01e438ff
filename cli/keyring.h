/* A folder of signing keys: the index keys.json with the public parts, one encrypted file a key, and the first root. */
#ifndef PAWL_CLI_KEYRING_H
#define PAWL_CLI_KEYRING_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/json.h"
#include "trust/key.h"

enum { CLI_KEYRING_ROOTS_MAX = 16 };

struct cli_keyring_entry {
    const char *name; /* "root-1" */
    const char *role; /* "root", "targets", "snapshot", "timestamp", "directive", "audit" */
    const char *file; /* inside the folder: "root-1.pem", "online/timestamp.pem" */
    const char *keyid;
    const char *keytype, *scheme, *public; /* as in TUF */
};

struct cli_keyring {
    const char *folder;
    struct json_list keys; /* of struct cli_keyring_entry */
};

struct cli_keyring_secret {
    const void *passphrase;
    size_t len;
};

/* A new set of keys: `roots` root keys, of which `threshold` sign; one key for each other role. */
struct cli_keyring_plan {
    const char *folder;
    int64_t roots, threshold;
    struct cli_keyring_secret offline, online;
    int64_t now;
};
/* ERR_USAGE for numbers out of range, ERR_IO for a folder that has something in it: asked before a passphrase is. */
bool cli_keyring_check_plan(const struct cli_keyring_plan *plan, struct err *err) MUST_USE;

/* Makes all keys and root 1. Everything is written to a folder beside and then renamed to `folder`, which must not exist (or be empty): a failure
 * leaves nothing behind. */
bool cli_keyring_create(struct arena *arena, const struct cli_keyring_plan *plan, struct err *err) MUST_USE;

/* ERR_KEY when the folder or its index is missing or not valid. */
bool cli_keyring_read(struct arena *arena, const char *folder, struct cli_keyring *ret_ring, struct err *err) MUST_USE;

/* Appends the index as JSON: public parts only. */
void cli_keyring_write(const struct cli_keyring *ring, struct buf *out);

/* NULL when there is no key of that name. */
const struct cli_keyring_entry *cli_keyring_find(const struct cli_keyring *ring, const char *name);

/* Opens the private key; ERR_KEY also when it is not the one that the index names. */
bool cli_keyring_open(struct arena *arena, const struct cli_keyring *ring, const struct cli_keyring_entry *entry,
                      const struct cli_keyring_secret *secret, struct key **ret_key, struct err *err) MUST_USE;

/* folder/file; NULL when the arena is full. */
const char *cli_keyring_path(struct arena *arena, const char *folder, const char *file) MUST_USE;

/* Appends DIR/1.root.json. */
bool cli_keyring_read_root(struct arena *arena, const char *folder, struct buf *out, struct err *err) MUST_USE;

#endif
