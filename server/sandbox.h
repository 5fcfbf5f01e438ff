/* What the process gives up when it has everything open: core files, new privileges, files outside its folders, most system calls. */
#ifndef PAWL_SERVER_SANDBOX_H
#define PAWL_SERVER_SANDBOX_H

#include "server/config.h"

/* At the very start: umask, no core files, no new privileges, as many descriptors as allowed. */
bool sandbox_early(struct err *err) MUST_USE;

/* Before the first thread: writes only below the data folder, reads only there, in the folders of the configured files, of the configuration itself
 * (NULL: none) and in the system's. *ret_active: false where the kernel or the build has no Landlock (or with sanitizers). */
bool sandbox_files(const struct server_config *config, const char *config_file, bool *ret_active, struct err *err) MUST_USE;

/* Before the first client: system calls by an allow-list, for all threads; none that makes a process, connect only if asked for. *ret_active: false
 * with sanitizers or without kernel support. */
bool sandbox_syscalls(bool connects, bool *ret_active, struct err *err) MUST_USE;

#endif
