/* The TUF metadata that is served: verified as a client would at start, replaced by the publish gate, its timestamp renewed. */
#ifndef PAWL_API_SERVED_H
#define PAWL_API_SERVED_H

#include <pthread.h>
#include <stdatomic.h>

#include "db/metadata.h"
#include "trust/gate.h"

struct api_env;
struct api_call;

enum { API_SERVED_ROLES = 4, API_SERVED_RENEW_S = 6 * 3600 };

/* What every thread may ask without SQL: root, timestamp, snapshot, targets in this order; version 0: not there yet. */
struct api_served_role {
    char name[METADATA_ROLE_NAME_MAX + 1];
    int64_t version, expires_at;
};

/* Zeroed is a good start: Linux's mutexes are born open from zeros. */
struct api_served {
    pthread_mutex_t lock; /* of the delegated roles */
    size_t delegated_count;
    struct api_served_role delegated[TRUSTED_DELEGATED_MAX];
    struct {
        _Atomic int64_t version;
        _Atomic int64_t expires_at;
    } roles[API_SERVED_ROLES];
};

enum { API_SERVED_ROOT, API_SERVED_TIMESTAMP, API_SERVED_SNAPSHOT, API_SERVED_TARGETS };
extern const char *const api_served_names[API_SERVED_ROLES];

/* Everything that is stored, walked and verified from root 1 as a client would. Free with trusted_free(). ERR_NOT_FOUND: no root yet. */
bool api_served_load(struct db_conn *conn, struct trusted **ret_trusted, struct err *err) MUST_USE;

struct api_publish_input;
enum { API_SERVED_FILES = 3 + TRUSTED_DELEGATED_MAX };

/* The files of a request as the gate takes them; names that no delegated role can have are ERR_INVALID. */
bool api_served_files(const struct api_publish_input *input, struct gate_file ret_files[API_SERVED_FILES], size_t *ret_count,
                      struct err *err) MUST_USE;

/* The online keys that a state of the repository asks for; they become those in use when it is committed. */
struct api_served_keys {
    const struct key *timestamp, *directive;
};

/* For the root among the files, else for the trusted one: the keys in use as far as it names them (it may be as new as this very transaction), else
 * others that the server has at hand. Looking for keys costs much: a new root must be signed by the trusted one's keys first; the gate verifies the
 * rest. ERR_KEY when it names none. */
bool api_served_choose_keys(const struct api_env *env, const struct trusted *trusted, const struct gate_file *files, size_t count,
                            struct api_served_keys *ret_keys, struct err *err) MUST_USE;

/* The publish gate over what is served now; result->trusted is the caller's to free. */
bool api_served_gate(struct api_call *call, const struct trusted *before, const struct gate_file *files, size_t count,
                     const struct api_served_keys *keys, struct gate_result *ret_result, struct err *err) MUST_USE;

/* Stores what is new in `after` (made from `before`) and shows it, and the keys, to all threads after COMMIT. */
bool api_served_store(struct db_conn *tx, const struct api_env *env, const struct trusted *before, const struct trusted *after,
                      const struct api_served_keys *keys, int64_t now, struct err *err) MUST_USE;

/* At start: fills the atomics. */
void api_served_publish(struct api_served *served, const struct trusted *trusted);

/* A copy of what is served of delegated roles. */
size_t api_served_delegated(struct api_served *served, struct api_served_role ret_roles[TRUSTED_DELEGATED_MAX]);

/* On the writer: signs a new timestamp when there is a snapshot. */
bool api_served_renew(struct db_conn *tx, const struct api_env *env, int64_t now, struct err *err) MUST_USE;

/* ERR_KEY when root does not name the key for the role: "timestamp" or the directive. */
bool api_served_check_keys(const struct trusted *trusted, const struct key *timestamp_key, const struct key *directive_key, struct err *err) MUST_USE;

/* "timestamp.json", "3.root.json", "2.<role>.json" … taken apart. False: no name of ours. */
bool api_served_name(struct arena *arena, const char *file, const char **ret_role, int64_t *ret_version) MUST_USE;

#endif
