#include "cli/bundle.h"
#include "cli/local.h"

#include "common/file.h"
#include "common/text.h"
#include "trust/metadata.h"

#define FORMAT "pawl-bundle-1"

enum { FILES_MAX = 200, SIG_MAX = 512 };

static const struct json_field file_fields[] = {
    JSON_FIELD(struct cli_bundle_file, name, JSON_TEXT, JSON_REQUIRED, .min = 1, .max = 128),
    JSON_FIELD(struct cli_bundle_file, data, JSON_BASE64, JSON_REQUIRED, .min = 1, .max = METADATA_TARGETS_MAX),
};
static const struct json_shape file_shape = JSON_SHAPE(struct cli_bundle_file, file_fields);
static const struct json_field bundle_fields[] = {
    JSON_FIELD(struct cli_bundle, format, JSON_TEXT, JSON_REQUIRED, .min = 1, .max = 32),
    JSON_FIELD(struct cli_bundle, role, JSON_TEXT, JSON_REQUIRED, .min = 1, .max = METADATA_ROLE_NAME_MAX),
    JSON_FIELD(struct cli_bundle, draft, JSON_BASE64, JSON_REQUIRED, .min = 1, .max = METADATA_TARGETS_MAX),
    JSON_FIELD(struct cli_bundle, image, JSON_TEXT, JSON_NULLABLE, .min = 64, .max = 64),
    JSON_FIELD(struct cli_bundle, sig, JSON_BASE64, 0, .max = SIG_MAX),
    JSON_FIELD(struct cli_bundle, published, JSON_STRUCTS, JSON_REQUIRED, .max = FILES_MAX, .shape = &file_shape),
};
static const struct json_shape bundle_shape = JSON_SHAPE(struct cli_bundle, bundle_fields);

bool cli_bundle_read(struct arena *arena, const char *path, struct cli_bundle *ret_bundle, struct err *err) {
    CLEANUP(buf_free) struct buf text = BUF_INIT(CLI_BUNDLE_MAX_BYTES);
    struct cli_bundle bundle;
    if (!cli_local_read(path, &text, err))
        return false;
    bool read = json_read(arena, text.data, text.len, &bundle_shape, &bundle, NULL, err);
    if (!read || !text_equal(bundle.format, FORMAT)) {
        err->code = ERR_FORMAT;
        return read ? err_set(err, ERR_FORMAT, "%s is no bundle of this program: format '%s'", path, bundle.format)
                    : err_prefix(err, "%s is no bundle", path);
    }
    *ret_bundle = bundle;
    return true;
}

bool cli_bundle_write(const struct cli_bundle *bundle, const char *path, bool new_only, struct err *err) {
    CLEANUP(buf_free) struct buf compact = BUF_INIT(CLI_BUNDLE_MAX_BYTES);
    struct cli_bundle written = *bundle;
    written.format = FORMAT;
    json_write(&compact, &bundle_shape, &written);
    buf_byte(&compact, '\n');
    return buf_ok(&compact, path, err) && (new_only ? cli_local_write_new(path, compact.data, compact.len, 0644, err)
                                                    : file_write_atomic(path, compact.data, compact.len, 0644, err));
}

const struct cli_bundle_file *cli_bundle_find(const struct cli_bundle *bundle, const char *name) {
    const struct cli_bundle_file *files = bundle->published.items;
    for (size_t i = 0; i < bundle->published.count; i++)
        if (text_equal(files[i].name, name))
            return &files[i];
    return NULL;
}
