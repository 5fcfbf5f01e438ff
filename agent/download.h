/* Getting an image onto the disk: resumed where it was cut, never longer than signed, and thrown away when it turns out wrong. */
#ifndef PAWL_AGENT_DOWNLOAD_H
#define PAWL_AGENT_DOWNLOAD_H

#include "agent/state.h"
#include "agent/transport.h"
#include "trust/release.h"

/* How much of the release is there already. */
int64_t agent_download_have(const struct agent_state *state, const struct release *release);

/* ERR_NO_SPACE when the file system with the download folder cannot take the rest of the image, opened_bytes (what an installer gets as a file of its
 * own) and a little more. */
bool agent_download_check_space(const struct agent_state *state, const struct release *release, int64_t opened_bytes, struct err *err) MUST_USE;

/* Brings the file to its signed length and syncs it; its hash is the caller's question. On failure what came stays for the next time. Saves the
 * state. ERR_SLOW, ERR_NETWORK, ERR_TLS, ERR_BUSY, ERR_LENGTH, ERR_RANGE, ERR_NOT_ENTITLED, ERR_DOWNGRADE, ERR_NO_SPACE, … */
bool agent_download_fetch(struct agent_state *state, struct agent_transport *transport, const struct release *release, struct err *err) MUST_USE;

/* Where a sealed image is opened for an installer that takes a file; swept with the downloads. NULL at the arena's ceiling. */
const char *agent_download_opened_path(const struct agent_state *state, const struct release *release) MUST_USE;

/* The file, open for reading. The path is in the arena. */
bool agent_download_open(const struct agent_state *state, const struct release *release, const char **ret_path, int *ret_fd,
                         struct err *err) MUST_USE;

/* Removes every download but the one of `keep_sha256` (NULL: all), and forgets it. Saves the state. */
bool agent_download_discard(struct agent_state *state, const char *keep_sha256, struct err *err) MUST_USE;

/* Removes images that were opened for an installer and left when the process was killed: they are plain text. Under the folder's lock. */
bool agent_download_sweep(const char *state_folder, struct err *err) MUST_USE;

/* Removes all of the folder without asking the state, which may not be writable: what is gone is downloaded from its start. */
bool agent_download_drop(const char *state_folder, struct err *err) MUST_USE;

#endif
