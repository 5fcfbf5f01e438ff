#include "common/version.h"

#include <string.h>

enum { VERSION_MAX = 64 };

static const char digits[] = "0123456789";
static const char identifier_characters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-";

/* "0" or digits without a leading zero; returns what follows, NULL when there is none. */
static const char *skip_number(const char *at) {
    size_t len = strspn(at, digits);
    return len == 0 || (len > 1 && at[0] == '0') ? NULL : at + len;
}

/* Identifiers separated by dots; in a pre-release a numeric one has no leading zero. */
static const char *skip_identifiers(const char *at, bool pre_release) {
    for (;;) {
        size_t len = strspn(at, identifier_characters);
        bool numeric = strspn(at, digits) == len;
        if (len == 0 || (pre_release && numeric && len > 1 && at[0] == '0'))
            return NULL;
        at += len;
        if (*at != '.')
            return at;
        at++;
    }
}

static bool is_semver(const char *at) {
    for (int part = 0; part < 3; part++) {
        if (part > 0 && *at++ != '.')
            return false;
        at = skip_number(at);
        if (at == NULL)
            return false;
    }
    if (*at == '-') {
        at = skip_identifiers(at + 1, true);
        if (at == NULL)
            return false;
    }
    if (*at == '+') {
        at = skip_identifiers(at + 1, false);
        if (at == NULL)
            return false;
    }
    return *at == '\0';
}

bool version_check(const char *text, struct err *err) {
    if (strnlen(text, VERSION_MAX + 1) > VERSION_MAX)
        return err_set(err, ERR_INVALID, "version is longer than %d bytes", VERSION_MAX);
    if (!is_semver(text))
        return err_set(err, ERR_INVALID, "version '%s' is not MAJOR.MINOR.PATCH[-pre][+build] (semver.org 2.0.0)", text);
    return true;
}
