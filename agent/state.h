/* What the device must remember over restarts and power cuts: one file, replaced atomically, refused when a single bit of it is wrong. */
#ifndef PAWL_AGENT_STATE_H
#define PAWL_AGENT_STATE_H

#include "common/arena.h"
#include "common/err.h"
#include "common/json.h"

enum { AGENT_STATE_MAX = 262144, AGENT_REPORTS_MAX = 32, AGENT_ATTEMPTS_MAX = 16, AGENT_FLOORS_MAX = 16 };

/* A release as far as the device has to remember it. Text is in the state's arena. */
struct agent_release {
    const char *path, *product, *version, *sha256;
    int64_t sequence, security_version;
};

struct agent_floor {
    const char *product;
    int64_t sequence, security_version;
};

/* How often a release was installed and failed. */
struct agent_attempt {
    const char *path; /* the same bits may be signed as a new release, which has its own chances */
    int64_t count;
    const char *error; /* the last "E_…" */
};

/* Whose bytes the file in the download folder are, and the tag to ask for the rest by. */
struct agent_partial {
    const char *sha256;
    const char *etag; /* strong; NULL: the server gave none, so the next try starts anew */
};

/* From the moment the new release is bootable until it is confirmed or given up. */
struct agent_trial {
    const char *phase;    /* "switching", "rebooting", "testing", "falling-back" */
    const char *slot;     /* that holds the new release: "a" or "b"; "-" with installer = command */
    const char *old_slot; /* to fall back to; NULL: none is known */
    struct agent_release *release;
    const char *deployment;
    const char *boot_id; /* of the system when the phase began */
    int64_t reboots;     /* tried in this phase: the boot loader was told, or not, and the reboot asked for */
    int64_t testing_ms;  /* clock_mono_ms() when testing began, in boot `boot_id` */
};

/* A report that the server has not acknowledged yet. */
struct agent_queued {
    const char *deployment;
    int64_t report_seq;
    const char *state;
    int64_t progress;      /* percent; −1: none */
    const char *error;     /* "E_…"; NULL: none */
    const char *detail;    /* with error */
    const char *installed; /* version, with "confirmed" */
    int64_t sequence;
};

struct agent_state {
    int64_t format;
    struct agent_release *installed; /* confirmed here; NULL: none yet */
    struct json_list floors;         /* struct agent_floor */
    struct json_list attempts;       /* struct agent_attempt, oldest first */
    struct json_list reports;        /* struct agent_queued, oldest first */
    struct agent_partial *partial;
    struct agent_trial *trial;
    const char *deployment;      /* the last one that was reported about; NULL: none */
    int64_t report_seq;          /* of its last report */
    const char *reported;        /* the state that report said */
    int64_t directive_issued_at; /* the highest one accepted, from directive_keys; falls only when the release keys name other directive keys */
    const char *directive_keys;  /* digest of the directive keys that root listed then; NULL: none was accepted yet */
    int64_t root_version;        /* the highest root trusted; 0: none was pinned yet */
    int64_t repaired_at;         /* UTC, when the confirmed release was last installed over itself; 0: never */

    /* Not in the file. */
    const char *folder;
    struct arena *arena;
};

/* Takes the folder's lock for as long as the descriptor is open; ERR_BUSY when another agent has it. The folder is made (0700) when missing. */
bool agent_state_lock(const char *folder, int *ret_fd, struct err *err) MUST_USE;

/* A state for a device that never had one, written to the folder. ERR_CONFLICT when there is one. */
bool agent_state_create(const char *folder, struct err *err) MUST_USE;

/* True when the folder has a state file, readable or not. */
bool agent_state_exists(const char *folder);

/* Everything lives in the arena; folder is borrowed. ERR_IO when the file is not exactly what was written: a damaged state is never taken for an
 * empty one, because that would forget the floor. ERR_NOT_FOUND: there is none. */
bool agent_state_load(struct arena *arena, const char *folder, struct agent_state *ret_state, struct err *err) MUST_USE;

/* Durable when it returns true. Refuses (ERR_INTERNAL) to write what it could not read again, or a floor lower than the one in the file. */
bool agent_state_save(const struct agent_state *state, struct err *err) MUST_USE;

/* Zero for a product that was never confirmed. */
struct agent_floor agent_state_floor(const struct agent_state *state, const char *product);

/* Both maxima only rise. Changes memory only, like all functions below; save afterwards. ERR_TOO_LARGE for too many products. */
bool agent_state_raise_floor(struct agent_state *state, const char *product, int64_t sequence, int64_t security_version, struct err *err) MUST_USE;

int64_t agent_state_attempts(const struct agent_state *state, const char *path, const char **ret_error);
bool agent_state_add_attempt(struct agent_state *state, const char *path, const char *error, struct err *err) MUST_USE;
void agent_state_forget_attempts(struct agent_state *state, const char *path);

/* A copy in the state's arena. */
bool agent_state_copy_release(struct agent_state *state, const struct agent_release *release, struct agent_release **ret_copy,
                              struct err *err) MUST_USE;

/* Appends one item to a list of the state; NULL at the ceiling or without memory. */
void *agent_state_grow(struct agent_state *state, struct json_list *list, size_t item_size) MUST_USE;

/* The state as JSON without the digest behind it, for `status`. */
void agent_state_write(const struct agent_state *state, struct buf *out);

#endif
