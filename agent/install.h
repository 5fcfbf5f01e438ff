/* Putting a verified image where it runs from: the slot that is not running, or the command of an installer. */
#ifndef PAWL_AGENT_INSTALL_H
#define PAWL_AGENT_INSTALL_H

#include "agent/settings.h"
#include "trust/release.h"

/* ERR_LENGTH or ERR_HASH when the open file is not exactly the signed image. The descriptor stays open for the installer, so that what was checked is
 * what is used. */
bool agent_install_verify(int fd, const struct release *release, struct err *err) MUST_USE;

/* Copies the verified image from the start of image_fd to the slot, opened when it is sealed; syncs, reads the slot back past the page cache and
 * compares it with the signed plain length and hash. `running` is the path of the slot that runs: the same file or device under any name is
 * ERR_INSTALL, and so is a slot that is not there, and a block device in use (mounted). ERR_NO_SPACE: the slot is too small. ERR_HASH: what was read
 * back differs; ERR_DECRYPT: it cannot be opened. On false the slot must not boot. */
bool agent_install_slot(const struct agent_settings *settings, int image_fd, const struct release *release, const char *slot, const char *running,
                        struct err *err) MUST_USE;

/* Hands the file to install.command as last argument and in PAWL_IMAGE; PAWL_SHA256 is the signed plain hash, which is the file's. ERR_INSTALL,
 * ERR_TIMEOUT. */
bool agent_install_command(const struct agent_settings *settings, const char *image, const struct release *release, const char *deployment,
                           struct err *err) MUST_USE;

/* Reads exactly length bytes from the medium, not from the cache, and compares. ERR_LENGTH when there are fewer, ERR_HASH. */
bool agent_install_compare(const char *slot, int64_t length, const char *sha256, struct err *err) MUST_USE;

#endif
