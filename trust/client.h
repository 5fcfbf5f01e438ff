/* The TUF client (specification 1.0, section 5) with its state in a folder: used unchanged by the agent, by `pawl` before it signs, and by tests. */
#ifndef PAWL_TRUST_CLIENT_H
#define PAWL_TRUST_CLIENT_H

#include "trust/trusted.h"

/* How the client gets metadata. Appends the file `name` ("2.root.json", "timestamp.json", "5.targets.json") to *out, never more than max_bytes.
 * ERR_NOT_FOUND: the repository has no such file; anything else ends the run with that error. A body that is longer: ERR_TOO_LARGE. */
struct tuf_fetch {
    bool (*get)(void *context, const char *name, size_t max_bytes, struct buf *out, struct err *err);
    void *context;
};

struct tuf_client;

/* Provisioning: stores the pinned root in the folder (made when missing). Pinning the same bytes again is fine; another root is ERR_CONFLICT. */
bool tuf_client_pin(const char *folder, const void *root, size_t root_len, struct err *err) MUST_USE;

/* Loads the folder: the newest root persisted there and, as far as they still verify, timestamp, snapshot and targets, whose expiry only a refresh
 * asks. ERR_NOT_FOUND when no root was pinned. One client per folder at a time: ERR_BUSY. */
bool tuf_client_open(const char *folder, struct tuf_client **ret_client, struct err *err) MUST_USE;

/* The same without a folder: nothing is persisted, everything starts from this root. */
bool tuf_client_open_memory(const void *root, size_t root_len, struct tuf_client **ret_client, struct err *err) MUST_USE;
void tuf_client_free(struct tuf_client *client);     /* NULL is fine */
void tuf_client_cleanup(struct tuf_client **client); /* fits CLEANUP(tuf_client_cleanup) */

/* Only the root walk (at most 64 hops, each verified and persisted); no expiry is asked. For a device without a clock, whose time is the directive's
 * `issued`: walk, verify the directive, then refresh with that time. */
bool tuf_client_walk_root(struct tuf_client *client, const struct tuf_fetch *fetch, struct err *err) MUST_USE;

/* The whole workflow: root walk, timestamp, snapshot, targets; each file is persisted byte for byte, and only after its checks. After an error what
 * was verified before stays. `now` in UTC seconds. */
bool tuf_client_refresh(struct tuf_client *client, const struct tuf_fetch *fetch, int64_t now, struct err *err) MUST_USE;

/* Looks a target up after a refresh, loading the delegated roles it needs in order of priority. ERR_NOT_FOUND, ERR_TARGET, or what a role's checks
 * said. */
bool tuf_client_release(struct tuf_client *client, const struct tuf_fetch *fetch, int64_t now, struct arena *arena, const char *path,
                        struct release *ret_release, struct err *err) MUST_USE;

/* The same for any target, whether or not it says a release; borrowed until the next refresh. */
bool tuf_client_target(struct tuf_client *client, const struct tuf_fetch *fetch, int64_t now, const char *path,
                       const struct metadata_target **ret_target, struct err *err) MUST_USE;

/* Loads every delegated role that the snapshot lists, so that trusted_releases() on the set is complete. */
bool tuf_client_load_all(struct tuf_client *client, const struct tuf_fetch *fetch, int64_t now, struct err *err) MUST_USE;

/* Borrowed until the next call that takes a fetch. `->root->directive` are the keys that may sign directives, `->timestamp->version` what a
 * directive's timestamp_version must not exceed. */
const struct trusted *tuf_client_trusted(const struct tuf_client *client);

#endif
