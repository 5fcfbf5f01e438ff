#include "trust/release.h"

#include <jansson.h>
#include <string.h>

#include "common/clock.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/text.h"
#include "common/version.h"

static const char *const encryption_names[] = {[RELEASE_PLAIN] = "none", [RELEASE_AGE] = "age"};

static bool file_name_check(const char *file, struct err *err) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+~-";
    size_t len = strlen(file);
    if (len < 1 || len > RELEASE_FILE_MAX || strspn(file, allowed) != len || file[0] == '.')
        return err_set_field(err, ERR_INVALID, "path", "a file name has 1 to %d of [A-Za-z0-9._+~-] and does not begin with a dot", RELEASE_FILE_MAX);
    if (text_ends(file, ".sig"))
        return err_set_field(err, ERR_INVALID, "path", "file name '%s' ends in .sig, which names detached signatures", file);
    if (strspn(file, "0123456789abcdefABCDEF") == 64 && file[64] == '.')
        return err_set_field(err, ERR_INVALID, "path", "file name '%s' begins with 64 hex digits and a dot, which names hashed copies", file);
    return true;
}

bool release_path_parse(struct arena *arena, const char *path, const char **ret_product, const char **ret_version, const char **ret_file,
                        struct err *err) {
    const char *first = strchr(path, '/');
    const char *second = first != NULL ? strchr(first + 1, '/') : NULL;
    if (strlen(path) > RELEASE_PATH_MAX || second == NULL || strchr(second + 1, '/') != NULL)
        return err_set_field(err, ERR_INVALID, "path", "a target path is <product>/<version>/<file>, at most %d bytes", RELEASE_PATH_MAX);
    const char *product = arena_strndup(arena, path, (size_t)(first - path));
    const char *version = arena_strndup(arena, first + 1, (size_t)(second - first - 1));
    const char *file = arena_strdup(arena, second + 1);
    if (product == NULL || version == NULL || file == NULL)
        return err_no_memory(err);
    if (!text_is_id(product))
        return err_set_field(err, ERR_INVALID, "path", "the first part of a target path is a product id: [A-Za-z0-9._:-]{1,64}");
    if (!version_check(version, err)) {
        err->field[0] = '\0';
        return err_prefix(err, "the second part of a target path");
    }
    if (!file_name_check(file, err))
        return false;
    if (ret_product != NULL)
        *ret_product = product;
    if (ret_version != NULL)
        *ret_version = version;
    if (ret_file != NULL)
        *ret_file = file;
    return true;
}

static bool path_check(const struct release *release, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, 8192);
    const char *product = NULL, *version = NULL;
    if (!release_path_parse(&arena, release->path, &product, &version, NULL, err))
        return false;
    if (!text_equal(product, release->product))
        return err_set_field(err, ERR_INVALID, "product", "product differs from the path's '%s'", product);
    if (!text_equal(version, release->version))
        return err_set_field(err, ERR_INVALID, "version", "version differs from the path's '%s'", version);
    return true;
}

static bool hardware_check(const struct release *release, struct err *err) {
    if (release->hardware_count < 1 || release->hardware_count > RELEASE_HARDWARE_MAX)
        return err_set_field(err, ERR_INVALID, "hardware", "a release names 1 to %d hardware ids", RELEASE_HARDWARE_MAX);
    for (size_t i = 0; i < release->hardware_count; i++) {
        if (!text_is_id(release->hardware[i]))
            return err_set_field(err, ERR_INVALID, "hardware", "a hardware id is [A-Za-z0-9._:-]{1,64}");
        for (size_t j = 0; j < i; j++)
            if (text_equal(release->hardware[i], release->hardware[j]))
                return err_set_field(err, ERR_INVALID, "hardware", "hardware id '%s' is named twice", release->hardware[i]);
    }
    return true;
}

static bool numbers_check(const struct release *release, struct err *err) {
    const struct {
        const char *field;
        int64_t value, min, max;
    } rules[] = {
        {"length", release->length, 1, RELEASE_LENGTH_MAX},
        {"sequence", release->sequence, 1, JSON_INT_MAX},
        {"security_version", release->security_version, 0, JSON_INT_MAX},
        {"requires_sequence", release->requires_sequence, 0, release->sequence - 1},
        {"plain_length", release->plain_length, 0, RELEASE_LENGTH_MAX},
        {"created", release->created_at, 1, INT64_C(253402300799)},
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (rules[i].value < rules[i].min || rules[i].value > rules[i].max) {
            return err_set_field(err, ERR_INVALID, rules[i].field, "%s is %lld; %lld to %lld is allowed", rules[i].field, (long long)rules[i].value,
                                 (long long)rules[i].min, (long long)rules[i].max);
        }
    }
    return true;
}

static bool hashes_check(const struct release *release, struct err *err) {
    if (release->sha256 == NULL || !hex_is_digest(release->sha256))
        return err_set_field(err, ERR_INVALID, "sha256", "sha256 is 64 lower-case hex digits");
    if (release->plain_sha256 == NULL || !hex_is_digest(release->plain_sha256))
        return err_set_field(err, ERR_INVALID, "plain_sha256", "plain_sha256 is 64 lower-case hex digits");
    bool same = release->plain_length == release->length && text_equal(release->plain_sha256, release->sha256);
    if (release->encryption == RELEASE_PLAIN && !same)
        return err_set_field(err, ERR_INVALID, "plain_sha256", "an image that is not encrypted has one length and one hash");
    return true;
}

static bool notes_check(const struct release *release, struct err *err) {
    size_t len = strlen(release->notes);
    if (len > RELEASE_NOTES_MAX)
        return err_set_field(err, ERR_INVALID, "notes", "notes have at most %d bytes", RELEASE_NOTES_MAX);
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)release->notes[i];
        if ((byte < 0x20 && byte != '\n') || byte > 0x7e)
            return err_set_field(err, ERR_INVALID, "notes", "notes are printable ASCII and line feeds");
    }
    return true;
}

bool release_check(const struct release *release, struct err *err) {
    if (release->path == NULL || release->notes == NULL)
        return err_set_field(err, ERR_INVALID, release->path == NULL ? "path" : "notes", "a release has a path and notes");
    return path_check(release, err) && hardware_check(release, err) && numbers_check(release, err) && hashes_check(release, err) &&
           notes_check(release, err);
}

/* Members of custom.pawl. Lists and dates are read by name below. */
enum field_kind { FIELD_TEXT, FIELD_NUMBER, FIELD_OTHER };

static const struct field {
    const char *name;
    enum field_kind kind;
    bool required;
    size_t offset;
} fields[] = {
    {"created", FIELD_OTHER, true, 0},
    {"encryption", FIELD_OTHER, true, 0},
    {"hardware", FIELD_OTHER, true, 0},
    {"notes", FIELD_TEXT, false, offsetof(struct release, notes)},
    {"plain_length", FIELD_NUMBER, false, offsetof(struct release, plain_length)},
    {"plain_sha256", FIELD_TEXT, false, offsetof(struct release, plain_sha256)},
    {"product", FIELD_TEXT, true, offsetof(struct release, product)},
    {"requires_sequence", FIELD_NUMBER, false, offsetof(struct release, requires_sequence)},
    {"security_version", FIELD_NUMBER, true, offsetof(struct release, security_version)},
    {"sequence", FIELD_NUMBER, true, offsetof(struct release, sequence)},
    {"version", FIELD_TEXT, true, offsetof(struct release, version)},
    {"withdrawn", FIELD_OTHER, false, 0},
};

static bool wrong_field(const char *name, const char *expected, struct err *err) {
    return err_set_field(err, ERR_TARGET, name, "custom.pawl.%s: %s", name, expected);
}

static bool read_text(struct arena *arena, const json_t *value, const char *name, const char **ret_text, struct err *err) {
    if (!json_is_string(value))
        return wrong_field(name, "a text is expected", err);
    *ret_text = arena_strdup(arena, json_string_value(value));
    return *ret_text != NULL || err_no_memory(err);
}

static bool read_field(struct arena *arena, const struct field *field, const json_t *value, struct release *release, struct err *err) {
    if (value == NULL)
        return !field->required || wrong_field(field->name, "is missing", err);
    void *place = (char *)release + field->offset;
    switch (field->kind) {
    case FIELD_TEXT:
        return read_text(arena, value, field->name, place, err);
    case FIELD_NUMBER:
        if (!json_is_integer(value))
            return wrong_field(field->name, "an integer is expected", err);
        *(int64_t *)place = json_integer_value(value);
        return true;
    case FIELD_OTHER:
        return true;
    }
    return err_set(err, ERR_INTERNAL, "field '%s' has no kind", field->name);
}

static bool read_hardware(struct arena *arena, const json_t *list, struct release *release, struct err *err) {
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count < 1 || count > RELEASE_HARDWARE_MAX)
        return wrong_field("hardware", "a list of 1 to 64 ids is expected", err);
    const char **hardware = arena_array(arena, count, sizeof *hardware);
    if (hardware == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (!read_text(arena, json_array_get(list, i), "hardware", &hardware[i], err))
            return false;
    release->hardware = hardware;
    release->hardware_count = count;
    return true;
}

static bool read_encryption(const json_t *pawl, struct release *release, struct err *err) {
    const char *name = json_string_value(json_object_get(pawl, "encryption"));
    bool has_plain = json_object_get(pawl, "plain_length") != NULL && json_object_get(pawl, "plain_sha256") != NULL;
    bool has_none = json_object_get(pawl, "plain_length") == NULL && json_object_get(pawl, "plain_sha256") == NULL;
    if (text_equal(name, encryption_names[RELEASE_PLAIN]) && has_none) {
        release->encryption = RELEASE_PLAIN;
        release->plain_length = release->length;
        release->plain_sha256 = release->sha256;
        return true;
    }
    if (text_equal(name, encryption_names[RELEASE_AGE]) && has_plain) {
        release->encryption = RELEASE_AGE;
        return true;
    }
    return wrong_field("encryption", "'none' without, or 'age' with plain_length and plain_sha256 is expected", err);
}

/* There is one way to say it: true, or no such member. */
static bool read_withdrawn(const json_t *pawl, struct release *release, struct err *err) {
    const json_t *value = json_object_get(pawl, "withdrawn");
    release->withdrawn = json_is_true(value);
    return value == NULL || release->withdrawn || wrong_field("withdrawn", "true is expected, or no such member", err);
}

static bool read_pawl(struct arena *arena, const json_t *pawl, struct release *release, struct err *err) {
    size_t known = 0;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const json_t *value = json_object_get(pawl, fields[i].name);
        known += value != NULL;
        if (!read_field(arena, &fields[i], value, release, err))
            return false;
    }
    if (known != json_object_size(pawl))
        return err_set(err, ERR_TARGET, "custom.pawl has a member that is not known here");
    const char *created = json_string_value(json_object_get(pawl, "created"));
    if (created == NULL || !clock_parse_rfc3339(created, &release->created_at))
        return wrong_field("created", "a time like 2026-11-22T08:00:00Z is expected", err);
    return read_hardware(arena, json_object_get(pawl, "hardware"), release, err) && read_encryption(pawl, release, err) &&
           read_withdrawn(pawl, release, err);
}

static bool read_entry(struct arena *arena, const json_t *entry, struct release *release, struct err *err) {
    const json_t *length = json_object_get(entry, "length");
    const json_t *hashes = json_object_get(entry, "hashes");
    const json_t *custom = json_object_get(entry, "custom");
    const json_t *pawl = json_object_get(custom, "pawl");
    if (json_object_size(entry) != 3 || json_object_size(hashes) != 1 || json_object_size(custom) != 1 || !json_is_object(pawl))
        return err_set(err, ERR_TARGET, "an entry has exactly length, hashes.sha256 and custom.pawl");
    if (!json_is_integer(length))
        return err_set(err, ERR_TARGET, "length: an integer is expected");
    release->length = json_integer_value(length);
    return read_text(arena, json_object_get(hashes, "sha256"), "sha256", &release->sha256, err) && read_pawl(arena, pawl, release, err);
}

bool release_read(struct arena *arena, const char *path, const struct json_t *target, struct release *ret_release, struct err *err) {
    struct release release = {.notes = ""};
    release.path = arena_strdup(arena, path);
    if (release.path == NULL)
        return err_no_memory(err);
    bool fine = read_entry(arena, target, &release, err) && release_check(&release, err);
    if (!fine) {
        if (err->code == ERR_INVALID)
            err->code = ERR_TARGET;
        return err_prefix(err, "target '%.200s'", path);
    }
    release.file = strrchr(release.path, '/') + 1;
    *ret_release = release;
    return true;
}

static json_t *write_pawl(const struct release *release) {
    char created[CLOCK_RFC3339_SIZE];
    clock_rfc3339(release->created_at, created);
    json_t *hardware = json_array();
    int failed = 0;
    for (size_t i = 0; i < release->hardware_count; i++)
        failed |= json_array_append_new(hardware, json_string(release->hardware[i]));
    json_t *pawl = json_pack("{s:s, s:s, s:o, s:s, s:I, s:I, s:s}", "created", created, "encryption", encryption_names[release->encryption],
                             "hardware", hardware, "product", release->product, "security_version", (json_int_t)release->security_version, "sequence",
                             (json_int_t)release->sequence, "version", release->version);
    if (release->notes[0] != '\0')
        failed |= json_object_set_new(pawl, "notes", json_string(release->notes));
    if (release->requires_sequence > 0)
        failed |= json_object_set_new(pawl, "requires_sequence", json_integer(release->requires_sequence));
    if (release->encryption == RELEASE_AGE) {
        failed |= json_object_set_new(pawl, "plain_length", json_integer(release->plain_length));
        failed |= json_object_set_new(pawl, "plain_sha256", json_string(release->plain_sha256));
    }
    if (release->withdrawn)
        failed |= json_object_set_new(pawl, "withdrawn", json_true());
    if (failed != 0) {
        json_decref(pawl);
        return NULL;
    }
    return pawl;
}

struct json_t *release_write(const struct release *release, struct err *err) {
    if (!release_check(release, err))
        return NULL;
    json_t *pawl = write_pawl(release);
    json_t *entry = pawl == NULL ? NULL
                                 : json_pack("{s:{s:o}, s:{s:s}, s:I}", "custom", "pawl", pawl, "hashes", "sha256", release->sha256, "length",
                                             (json_int_t)release->length);
    if (entry == NULL)
        err_no_memory(err);
    return entry;
}

bool release_equal(const struct release *a, const struct release *b) {
    if (a->hardware_count != b->hardware_count)
        return false;
    for (size_t i = 0; i < a->hardware_count; i++)
        if (!text_equal(a->hardware[i], b->hardware[i]))
            return false;
    return text_equal(a->path, b->path) && a->length == b->length && text_equal(a->sha256, b->sha256) && text_equal(a->product, b->product) &&
           text_equal(a->version, b->version) && a->sequence == b->sequence && a->security_version == b->security_version &&
           a->requires_sequence == b->requires_sequence && a->encryption == b->encryption && a->plain_length == b->plain_length &&
           text_equal(a->plain_sha256, b->plain_sha256) && a->created_at == b->created_at && text_equal(a->notes, b->notes) &&
           a->withdrawn == b->withdrawn;
}

bool release_may_follow(const struct release *before, const struct release *after) {
    struct release expected = *before;
    expected.withdrawn = before->withdrawn || after->withdrawn;
    return release_equal(&expected, after);
}

bool release_runs_on(const struct release *release, const char *hardware) {
    for (size_t i = 0; i < release->hardware_count; i++)
        if (text_equal(release->hardware[i], hardware))
            return true;
    return false;
}
