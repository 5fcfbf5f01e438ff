#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *slug;
    const char *tag;
} names[ERR_CODE_COUNT] = {
    [ERR_NONE] = {"none", "E_NONE"},
    [ERR_INTERNAL] = {"internal", "E_INTERNAL"},
    [ERR_NO_MEMORY] = {"no-memory", "E_NO_MEMORY"},
    [ERR_IO] = {"io", "E_IO"},
    [ERR_NO_SPACE] = {"no-space", "E_NOSPC"},
    [ERR_BUSY] = {"busy", "E_BUSY"},
    [ERR_TIMEOUT] = {"timeout", "E_TIMEOUT"},
    [ERR_NETWORK] = {"network", "E_NETWORK"},
    [ERR_TLS] = {"tls", "E_TLS"},
    [ERR_USAGE] = {"usage", "E_USAGE"},
    [ERR_CONFIG] = {"config", "E_CONFIG"},
    [ERR_INVALID] = {"invalid", "E_INVALID"},
    [ERR_UNKNOWN_FIELD] = {"unknown-field", "E_UNKNOWN_FIELD"},
    [ERR_TOO_LARGE] = {"too-large", "E_TOO_LARGE"},
    [ERR_UNAUTHENTICATED] = {"unauthenticated", "E_UNAUTHENTICATED"},
    [ERR_FORBIDDEN] = {"forbidden", "E_FORBIDDEN"},
    [ERR_SCOPE] = {"scope", "E_SCOPE"},
    [ERR_NOT_FOUND] = {"not-found", "E_NOT_FOUND"},
    [ERR_METHOD] = {"method", "E_METHOD"},
    [ERR_CONFLICT] = {"conflict", "E_CONFLICT"},
    [ERR_GONE] = {"gone", "E_GONE"},
    [ERR_PRECONDITION] = {"precondition", "E_PRECONDITION"},
    [ERR_PRECONDITION_REQUIRED] = {"precondition-required", "E_PRECONDITION_REQUIRED"},
    [ERR_LENGTH_REQUIRED] = {"length-required", "E_LENGTH_REQUIRED"},
    [ERR_MEDIA_TYPE] = {"media-type", "E_MEDIA_TYPE"},
    [ERR_RANGE] = {"range", "E_RANGE"},
    [ERR_IDEMPOTENCY] = {"idempotency", "E_IDEMPOTENCY"},
    [ERR_RATE] = {"rate", "E_RATE"},
    [ERR_NOT_IMPLEMENTED] = {"not-implemented", "E_NOT_IMPLEMENTED"},
    [ERR_DEVICE_PENDING] = {"device-pending", "E_DEVICE_PENDING"},
    [ERR_DEVICE_REVOKED] = {"device-revoked", "E_DEVICE_REVOKED"},
    [ERR_DEVICE_RETIRED] = {"device-retired", "E_DEVICE_RETIRED"},
    [ERR_IDENTITY] = {"identity", "E_IDENTITY"},
    [ERR_NOT_ENTITLED] = {"not-entitled", "E_NOT_ENTITLED"},
    [ERR_DOWNGRADE] = {"downgrade-refused", "E_DOWNGRADE"},
    [ERR_FORMAT] = {"format", "E_FORMAT"},
    [ERR_SIGNATURE] = {"signature", "E_SIGNATURE"},
    [ERR_THRESHOLD] = {"threshold", "E_THRESHOLD"},
    [ERR_ROLLBACK] = {"rollback", "E_ROLLBACK"},
    [ERR_EXPIRED] = {"expired", "E_EXPIRED"},
    [ERR_FREEZE] = {"freeze", "E_FREEZE"},
    [ERR_MIX] = {"mix", "E_MIX"},
    [ERR_LENGTH] = {"length", "E_LENGTH"},
    [ERR_HASH] = {"hash", "E_HASH"},
    [ERR_TARGET] = {"target", "E_TARGET"},
    [ERR_DIRECTIVE] = {"directive", "E_DIRECTIVE"},
    [ERR_HARDWARE] = {"hardware", "E_HARDWARE"},
    [ERR_STEPPING_STONE] = {"stepping-stone", "E_STEPPING_STONE"},
    [ERR_DECRYPT] = {"decrypt", "E_DECRYPT"},
    [ERR_SLOW] = {"slow", "E_SLOW"},
    [ERR_INSTALL] = {"install", "E_INSTALL"},
    [ERR_SELFTEST] = {"selftest", "E_SELFTEST"},
    [ERR_KEY] = {"key", "E_KEY"},
    [ERR_PASSPHRASE] = {"passphrase", "E_PASSPHRASE"},
};

/* Control characters would break "one line". */
static void blank_controls(char *text) {
    for (char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
}

/* Formats beside *err first, because an argument may be the text that is there. */
PRINTF_LIKE(2, 0) static void format_text(char text[ERR_TEXT_SIZE], const char *format, va_list arguments) {
    if (vsnprintf(text, ERR_TEXT_SIZE, format, arguments) < 0)
        text[0] = '\0';
    blank_controls(text);
}

static void append(char text[ERR_TEXT_SIZE], const char *more) {
    size_t len = strlen(text);
    size_t more_len = strnlen(more, ERR_TEXT_SIZE - 1 - len);
    memcpy(text + len, more, more_len);
    text[len + more_len] = '\0';
}

static void fill(struct err *err, enum err_code code, const char *field, const char text[ERR_TEXT_SIZE]) {
    char kept[ERR_FIELD_SIZE];
    snprintf(kept, sizeof(kept), "%s", field);
    blank_controls(kept);
    err->code = code;
    memcpy(err->field, kept, sizeof(kept));
    memcpy(err->text, text, ERR_TEXT_SIZE);
}

bool err_set(struct err *err, enum err_code code, const char *format, ...) {
    char text[ERR_TEXT_SIZE] = "";
    va_list arguments;
    va_start(arguments, format);
    format_text(text, format, arguments);
    va_end(arguments);
    fill(err, code, "", text);
    return false;
}

bool err_set_field(struct err *err, enum err_code code, const char *field, const char *format, ...) {
    char text[ERR_TEXT_SIZE] = "";
    va_list arguments;
    va_start(arguments, format);
    format_text(text, format, arguments);
    va_end(arguments);
    fill(err, code, field, text);
    return false;
}

static enum err_code code_of_errno(int number) {
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOMEM:
        return ERR_NO_MEMORY;
    case ENOENT:
        return ERR_NOT_FOUND;
    default:
        return ERR_IO;
    }
}

bool err_errno(struct err *err, const char *format, ...) {
    int number = errno;
    char text[ERR_TEXT_SIZE] = "";
    char reason[128] = "";
    va_list arguments;
    va_start(arguments, format);
    format_text(text, format, arguments);
    va_end(arguments);
    const char *shown = strerror_r(number, reason, sizeof(reason)); /* the GNU form */
    append(text, ": ");
    append(text, shown);
    fill(err, code_of_errno(number), "", text);
    return false;
}

bool err_prefix(struct err *err, const char *format, ...) {
    char text[ERR_TEXT_SIZE] = "";
    va_list arguments;
    va_start(arguments, format);
    format_text(text, format, arguments);
    va_end(arguments);
    append(text, ": ");
    append(text, err->text);
    memcpy(err->text, text, sizeof(text));
    return false;
}

bool err_no_memory(struct err *err) {
    return err_set(err, ERR_NO_MEMORY, "out of memory");
}

const char *err_slug(enum err_code code) {
    return (unsigned)code < ERR_CODE_COUNT ? names[code].slug : names[ERR_INTERNAL].slug;
}

const char *err_tag(enum err_code code) {
    return (unsigned)code < ERR_CODE_COUNT ? names[code].tag : names[ERR_INTERNAL].tag;
}
