/* A bundle: one file that travels between people who sign. It holds a draft of one targets role with the signatures so far, the detached signature
 * of a new image, and the published metadata that the draft extends, so that a signer without network can verify it. */
#ifndef PAWL_CLI_BUNDLE_H
#define PAWL_CLI_BUNDLE_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/json.h"

enum { CLI_BUNDLE_MAX_BYTES = 16 << 20 };

struct cli_bundle_file {
    const char *name; /* as served: "2.root.json", "timestamp.json" */
    struct json_bytes data;
};

struct cli_bundle {
    const char *format;
    const char *role;           /* "targets", or a delegated one's */
    struct json_bytes draft;    /* as draft_bytes() writes it */
    const char *image;          /* SHA-256 of the image that the detached signature is for; NULL: the draft adds no release */
    struct json_bytes sig;      /* len 0: nobody made one yet */
    struct json_list published; /* of struct cli_bundle_file */
};

/* Everything is in the arena. ERR_IO, or ERR_FORMAT when the file is no bundle. Nothing in it is believed yet. */
bool cli_bundle_read(struct arena *arena, const char *path, struct cli_bundle *ret_bundle, struct err *err) MUST_USE;

/* new_only: ERR_IO when the path exists; else the file is replaced. */
bool cli_bundle_write(const struct cli_bundle *bundle, const char *path, bool new_only, struct err *err) MUST_USE;

/* NULL when the bundle does not hold it. */
const struct cli_bundle_file *cli_bundle_find(const struct cli_bundle *bundle, const char *name);

#endif
