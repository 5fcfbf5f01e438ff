/* Who signs: the private keys of a key folder and single key files, all under one passphrase, and the root that everything is verified from. */
#ifndef PAWL_CLI_SIGNING_H
#define PAWL_CLI_SIGNING_H

#include "cli/cli.h"
#include "cli/keyring.h"
#include "trust/repository.h"

enum { CLI_SIGNING_KEYS_MAX = 16 };

/* The options of every command that verifies or signs. */
struct cli_signing_args {
    const char *keys; /* a folder of `pawl keys init` */
    const char *root; /* instead of the folder's 1.root.json */
    struct option_texts key_files;
    const char *passphrase_file, *passphrase_fd;
};

#define CLI_ROOT_OPTIONS(type, member)                                                                                                               \
    {"keys", 'k', OPTION_TEXT, offsetof(type, member.keys), "DIR", "folder made by `pawl keys init`"}, {                                             \
        "root", 0, OPTION_TEXT, offsetof(type, member.root), "FILE", "root 1, which everything is verified from [DIR/1.root.json]"                   \
    }
#define CLI_SIGNING_OPTIONS(type, member)                                                                                                            \
    CLI_ROOT_OPTIONS(type, member),                                                                                                                  \
        {"key", 0, OPTION_TEXTS, offsetof(type, member.key_files), "FILE", "a private key of its own (repeat for more)"},                            \
        {"passphrase-file", 0, OPTION_TEXT, offsetof(type, member.passphrase_file), "FILE", "passphrase of the keys, mode 0400 or 0600"}, {          \
        "passphrase-fd", 0, OPTION_TEXT, offsetof(type, member.passphrase_fd), "N", "the same from an open descriptor"                               \
    }

/* What is open while a command signs. */
struct cli_signing {
    struct arena *arena;
    bool has_ring;
    struct cli_keyring ring;
    struct buf passphrase;
    size_t count;
    struct key *keys[CLI_SIGNING_KEYS_MAX]; /* opened so far; owned */
};

/* ERR_USAGE when neither a folder nor a key is given. Reads no private key and asks nothing. */
bool cli_signing_check(const struct cli_signing_args *args, struct err *err) MUST_USE;

/* The path of the root that is pinned. ERR_USAGE when none is given. */
bool cli_signing_root(struct arena *arena, const struct cli_signing_args *args, const char **ret_path, struct err *err) MUST_USE;

/* Asks for the passphrase and opens the key files; those of the folder are opened when they are needed. */
bool cli_signing_open(struct cli *cli, const struct cli_signing_args *args, struct cli_signing *ret_signing, struct err *err) MUST_USE;
void cli_signing_close(struct cli_signing *signing); /* fits CLEANUP */

/* Opens up to `most` keys that these signers name. */
bool cli_signing_find(struct cli_signing *signing, const struct signers *signers, size_t most, const struct key **ret_keys, size_t *ret_count,
                      struct err *err) MUST_USE;

/* Signs with as many keys of the role as its threshold asks for. ERR_KEY when fewer than `least` are at hand. */
bool cli_signing_sign(struct cli_signing *signing, const char *role, const struct signers *signers, size_t least, struct draft *draft,
                      struct err *err) MUST_USE;

/* The first P-256 key of the role at hand, for detached signatures of images; NULL: there is none. */
bool cli_signing_image_key(struct cli_signing *signing, const struct signers *signers, const struct key **ret_key, struct err *err) MUST_USE;

#endif
