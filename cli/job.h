/* One change of targets metadata on its way from what was verified to what is published. The commands differ in what they put into the draft; what
 * they all do stands here: verify, draft, show the difference, sign or hand over, make the snapshot, send. */
#ifndef PAWL_CLI_JOB_H
#define PAWL_CLI_JOB_H

#include "cli/signing.h"
#include "cli/tuf.h"

struct cli_job {
    struct cli *cli;
    int64_t now;
    struct cli_tuf tuf;
    struct trusted_releases releases; /* published, of every role */

    const char *role;              /* "targets", or a delegated one's */
    const struct metadata *base;   /* its published file; NULL: there is none yet */
    const struct signers *signers; /* its keys */

    struct draft *draft;
    struct metadata *next;                /* the draft as it was shown */
    struct trusted_releases added;        /* by the draft */
    struct key_signature image_signature; /* of the one image that is new; len 0: none */
};

void cli_job_close(struct cli_job *job); /* fits CLEANUP */

/* Verifies what is published, from the pinned root on. bundle NULL: asks the server. expired_ok: what has expired is taken, with a warning, because
 * it is about to be renewed; signatures and versions are checked all the same. */
bool cli_job_open(struct cli *cli, const struct cli_signing_args *args, const struct cli_bundle *bundle, bool expired_ok, struct cli_job *ret_job,
                  struct err *err) MUST_USE;

/* Whose file is changed. role NULL: the one that lists the path, else the delegated role that speaks for it, else "targets"; path may be NULL.
 * ERR_USAGE: no such role. */
bool cli_job_choose(struct cli_job *job, const char *role, const char *path, struct err *err) MUST_USE;

/* The next version of that file with nothing changed but expiry. A note tells what the server says was withdrawn of the product (NULL: of all) and
 * the metadata does not say yet. */
bool cli_job_draft(struct cli_job *job, const char *product, struct err *err) MUST_USE;

/* Shows the difference and the short hash, and asks. confirm (may be NULL) is the hash as somebody else told it: ERR_CONFLICT when it is another. */
bool cli_job_review(struct cli_job *job, const char *confirm, const char *question, struct err *err) MUST_USE;

/* Signs the draft with the keys at hand, and the new image, which must be the one that the draft names (ERR_HASH). image NULL: no detached signature
 * is made, for nobody signs a file that they know only by its hash: it could be other metadata. */
bool cli_job_sign(struct cli_job *job, struct cli_signing *signing, size_t least, const char *image, struct err *err) MUST_USE;

/* Writes a new bundle; it must not exist. */
bool cli_job_save(struct cli_job *job, const char *path, struct err *err) MUST_USE;

/* Takes the draft, its signatures and the image's out of a bundle. */
bool cli_job_load(struct cli_job *job, const struct cli_bundle *bundle, struct err *err) MUST_USE;

/* Verifies the signatures of the draft, makes and signs the snapshot, sends the image (path NULL: the server has it), then the metadata; sees that it
 * is served. */
bool cli_job_publish(struct cli_job *job, struct cli_signing *signing, const char *image_path, struct cli_reply *ret_reply, struct err *err) MUST_USE;

/* A snapshot after the published one that lists this file of the role, signed for these signers. */
bool cli_job_snapshot(struct cli_job *job, const struct signers *signers, struct cli_signing *signing, const struct buf *targets,
                      struct buf *ret_snapshot, struct err *err) MUST_USE;

/* What goes to the server in one request; NULL: is not sent. */
struct cli_job_upload {
    const char *role; /* that .targets is of */
    const struct buf *root, *targets, *snapshot;
    const char *image;                           /* SHA-256 of the new image, for … */
    const struct key_signature *image_signature; /* … this */
    bool adds_release;
};
bool cli_job_send(struct cli *cli, const struct cli_job_upload *upload, struct cli_reply *ret_reply, struct err *err) MUST_USE;

#endif
