/* Opening sealed images (trust.md §4) on the device: only what was verified as sealed bytes, and never more than the signed plain length. */
#ifndef PAWL_AGENT_UNSEAL_H
#define PAWL_AGENT_UNSEAL_H

#include "agent/settings.h"
#include "trust/release.h"

/* Is there an identity, and does it hold up? True when none is configured. ERR_KEY: open to others, or no identity in it. */
bool agent_unseal_examine(const struct agent_settings *settings, struct err *err) MUST_USE;

/* Opens the sealed file sealed_fd, from its start, into to_fd, from where that stands. ERR_DECRYPT: no identity opens it, it was changed, cut or
 * extended, or the plain text is not as long as is signed. On false what was written is of no use; true says nothing about its hash. */
bool agent_unseal_to(const struct agent_settings *settings, int sealed_fd, int to_fd, const struct release *release, struct err *err) MUST_USE;

/* The same into the file `path` (mode 0600, replaced), for installers that take a file: synced, read back and compared with the signed plain hash.
 * The file is gone on failure. */
bool agent_unseal_file(const struct agent_settings *settings, int sealed_fd, const char *path, const struct release *release,
                       struct err *err) MUST_USE;

#endif
