/* One line per event on standard error, for programs. Libraries return errors instead. */
#ifndef PAWL_COMMON_LOG_H
#define PAWL_COMMON_LOG_H

#include "common/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };

/* Before the first thread; the defaults are LOG_INFO and LOG_LOGFMT. */
void log_setup(enum log_level level, enum log_format format);
/* From any thread. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* "message" plus pairs: log_event(LOG_INFO, "listening", "address", text, "port", text2, (char *)NULL). Keys are literals; values may be NULL (left
 * out) and are escaped. One write(2) a line, at most 4 KiB; thread-safe. */
void log_event(enum log_level level, const char *message, ...) __attribute__((sentinel));

/* The same with an error: adds code=… error=… */
void log_err(enum log_level level, const char *message, const struct err *err);

#endif
