/* Sealing on the command line: who can open it, and the sealed copy of an image that is going to be published. */
#ifndef PAWL_CLI_SEALING_H
#define PAWL_CLI_SEALING_H

#include "cli/cli.h"
#include "cli/newfile.h"
#include "trust/seal.h"

struct cli_sealing_args {
    struct option_texts recipients, recipient_files;
    const char *out;
};

#define CLI_SEALING_OPTIONS(type, member)                                                                                                            \
    {"seal-to", 0, OPTION_TEXTS, offsetof(type, member.recipients), "RECIPIENT", "seal the image: who can open it, age1… (repeat for more)"},        \
        {"seal-to-file", 0, OPTION_TEXTS, offsetof(type, member.recipient_files), "FILE", "the same from a file, one a line"}, {                     \
        "sealed-out", 0, OPTION_TEXT, offsetof(type, member.out), "FILE", "keep the sealed image as this new file"                                   \
    }

/* A sealed copy, for as long as it is not dropped: a file without a name, or with --sealed-out one that gets it when it is kept. */
struct cli_sealed {
    const char *path; /* to read it by; NULL: none */
    struct cli_newfile file;
    int64_t plain_length;
    const char *plain_sha256; /* of the very bytes that were sealed */
};

bool cli_sealing_wanted(const struct cli_sealing_args *args);

/* All recipients of texts and files. ERR_USAGE for one that is no recipient, or when there are none; ERR_IO. */
bool cli_sealing_recipients(const struct option_texts *texts, const struct option_texts *files, struct seal_recipients *ret_recipients,
                            struct err *err) MUST_USE;

/* Seals the file image, which is read once. ERR_IO when there is nothing in it. *sealed is all zero, and dropped by the caller in any case. */
bool cli_sealing_seal(struct cli *cli, const struct cli_sealing_args *args, const char *image, struct cli_sealed *sealed, struct err *err) MUST_USE;
bool cli_sealing_keep(struct cli_sealed *sealed, struct err *err) MUST_USE; /* as args->out, if there is one */
void cli_sealing_drop(struct cli_sealed *sealed);                           /* fits CLEANUP; what was kept stays */

/* Streams over a descriptor, for seal_seal() and seal_open(); context: int *. */
bool cli_sealing_read(void *context, void *data, size_t cap, size_t *ret_len, struct err *err) MUST_USE;
bool cli_sealing_write(void *context, const void *data, size_t len, struct err *err) MUST_USE;

#endif
