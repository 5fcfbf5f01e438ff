/* SemVer 2.0.0, for people. Never used to order releases: trust.md §2. */
#ifndef PAWL_COMMON_VERSION_H
#define PAWL_COMMON_VERSION_H

#include "common/err.h"

/* True for exactly MAJOR.MINOR.PATCH[-pre][+build] by the grammar of semver.org, at most 64 bytes. */
bool version_check(const char *text, struct err *err) MUST_USE;

#endif
