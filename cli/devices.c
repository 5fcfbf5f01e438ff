#include <string.h>

#include "cli/groups.h"
#include "cli/verb.h"
#include "cli/view.h"
#include "common/text.h"

#define DEVICES "/api/v1/devices"

struct installed {
    const char *version;
    int64_t sequence;
};

struct floor {
    int64_t sequence, security_version;
};

struct device {
    const char *id, *state, *product, *hardware;
    struct json_texts tags, pins;
    const char *pin_origin;
    const char *attributes; /* as JSON */
    struct installed *installed;
    struct floor *floor;
    const char *deployment;
    int64_t first_seen, last_seen, created_at;
};

static const struct json_field installed_fields[] = {
    JSON_FIELD(struct installed, version, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct installed, sequence, JSON_INT, 0),
};
static const struct json_shape installed_shape = JSON_SHAPE_OPEN(struct installed, installed_fields);
static const struct json_field floor_fields[] = {
    JSON_FIELD(struct floor, sequence, JSON_INT, 0),
    JSON_FIELD(struct floor, security_version, JSON_INT, 0),
};
static const struct json_shape floor_shape = JSON_SHAPE_OPEN(struct floor, floor_fields);
static const struct json_field device_fields[] = {
    JSON_FIELD(struct device, id, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct device, state, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct device, product, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct device, hardware, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct device, tags, JSON_TEXTS, JSON_NULLABLE),
    JSON_FIELD(struct device, pins, JSON_TEXTS, JSON_NULLABLE),
    JSON_FIELD(struct device, pin_origin, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct device, attributes, JSON_RAW, JSON_NULLABLE),
    JSON_FIELD(struct device, installed, JSON_STRUCT, JSON_NULLABLE, .shape = &installed_shape),
    JSON_FIELD(struct device, floor, JSON_STRUCT, JSON_NULLABLE, .shape = &floor_shape),
    JSON_FIELD(struct device, deployment, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct device, first_seen, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct device, last_seen, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct device, created_at, JSON_TIME, JSON_NULLABLE),
};
static const struct json_shape device_shape = JSON_SHAPE_OPEN(struct device, device_fields);

static const char *format_installed(struct arena *arena, const void *object) {
    const struct installed *installed = ((const struct device *)object)->installed;
    if (installed == NULL)
        return NULL;
    return arena_printf(arena, "%s (%lld)", installed->version == NULL ? "?" : installed->version, (long long)installed->sequence);
}

static const char *format_floor(struct arena *arena, const void *object) {
    const struct floor *floor = ((const struct device *)object)->floor;
    if (floor == NULL)
        return NULL;
    return arena_printf(arena, "sequence %lld, security version %lld", (long long)floor->sequence, (long long)floor->security_version);
}

static const char *format_origin(struct arena *arena UNUSED, const void *object) {
    const char *origin = ((const struct device *)object)->pin_origin;
    return text_equal(origin, "requested") ? "nobody: the key was only asked for" : origin;
}

static const char *format_attributes(struct arena *arena UNUSED, const void *object) {
    const char *attributes = ((const struct device *)object)->attributes;
    return text_equal(attributes, "{}") ? NULL : attributes;
}

static const struct cli_column list_columns[] = {
    {.title = "DEVICE", .field = "id"},
    {.title = "STATE", .field = "state"},
    {.title = "PRODUCT", .field = "product"},
    {.title = "HARDWARE", .field = "hardware"},
    {.title = "INSTALLED", .format = format_installed},
    {.title = "LAST SEEN", .field = "last_seen"},
    {.title = "TAGS", .field = "tags"},
};
static const struct cli_column show_columns[] = {
    {.title = "device", .field = "id"},
    {.title = "state", .field = "state"},
    {.title = "product", .field = "product"},
    {.title = "hardware", .field = "hardware"},
    {.title = "tags", .field = "tags"},
    {.title = "installed", .format = format_installed},
    {.title = "floor", .format = format_floor},
    {.title = "deployment", .field = "deployment"},
    {.title = "attributes", .format = format_attributes},
    {.title = "public keys", .field = "pins"},
    {.title = "vouched for by", .format = format_origin},
    {.title = "first seen", .field = "first_seen"},
    {.title = "last seen", .field = "last_seen"},
    {.title = "created", .field = "created_at"},
};
static const struct cli_view device_view = {
    .shape = &device_shape,
    .list = list_columns,
    .list_count = ARRAY_LEN(list_columns),
    .show = show_columns,
    .show_count = ARRAY_LEN(show_columns),
    .none = "no such devices",
};

struct list_args {
    const char *state, *product, *hardware, *tag, *version, *id_prefix, *filter;
    struct cli_paging paging;
};

static const struct cli_option list_options[] = {
    {"state", 0, OPTION_TEXT, offsetof(struct list_args, state), "STATE", "only pending, active, revoked or retired ones"},
    {"product", 0, OPTION_TEXT, offsetof(struct list_args, product), "PRODUCT", "only of this product"},
    {"hardware", 0, OPTION_TEXT, offsetof(struct list_args, hardware), "ID", "only on this hardware"},
    {"tag", 0, OPTION_TEXT, offsetof(struct list_args, tag), "TAG", "only with this tag"},
    {"installed", 0, OPTION_TEXT, offsetof(struct list_args, version), "VERSION", "only those that run this version"},
    {"prefix", 0, OPTION_TEXT, offsetof(struct list_args, id_prefix), "TEXT", "only ids that begin so"},
    {"filter", 'f', OPTION_TEXT, offsetof(struct list_args, filter), "FILTER", "only those it matches: 'tag == canary and sequence < 40'"},
    CLI_PAGING_OPTIONS(offsetof(struct list_args, paging), "id, product, hardware, state, version, sequence or last_seen", "id"),
};
const struct cli_options cli_devices_list_options = CLI_OPTIONS(struct list_args, list_options);

struct add_args {
    const char *product, *hardware, *spki_sha256;
    struct option_texts tags;
};

static const struct cli_option add_options[] = {
    {"product", 0, OPTION_TEXT, offsetof(struct add_args, product), "PRODUCT", "its line of versions"},
    {"hardware", 0, OPTION_TEXT, offsetof(struct add_args, hardware), "ID", "what its images are built for"},
    {"tag", 0, OPTION_TEXTS, offsetof(struct add_args, tags), "TAG", "a tag (may be repeated)"},
    {"pin", 0, OPTION_TEXT, offsetof(struct add_args, spki_sha256), "SHA256",
     "hash of its public key (SubjectPublicKeyInfo); without it the first certificate seen is pinned"},
};
const struct cli_options cli_devices_add_options = CLI_OPTIONS(struct add_args, add_options);

struct tag_args {
    struct option_texts add, remove;
    bool clear;
};

static const struct cli_option tag_options[] = {
    {"add", 0, OPTION_TEXTS, offsetof(struct tag_args, add), "TAG", "put this tag on (may be repeated)"},
    {"remove", 0, OPTION_TEXTS, offsetof(struct tag_args, remove), "TAG", "take this tag off (may be repeated)"},
    {"clear", 0, OPTION_FLAG, offsetof(struct tag_args, clear), NULL, "take all tags off first"},
};
const struct cli_options cli_devices_tag_options = CLI_OPTIONS(struct tag_args, tag_options);

struct set_args {
    const char *product, *hardware;
    struct option_texts attributes, gone;
};

static const struct cli_option set_options[] = {
    {"product", 0, OPTION_TEXT, offsetof(struct set_args, product), "PRODUCT", "its line of versions"},
    {"hardware", 0, OPTION_TEXT, offsetof(struct set_args, hardware), "ID", "what its images are built for"},
    {"attribute", 0, OPTION_TEXTS, offsetof(struct set_args, attributes), "NAME=TEXT", "an attribute (may be repeated)"},
    {"no-attribute", 0, OPTION_TEXTS, offsetof(struct set_args, gone), "NAME", "take this attribute away (may be repeated)"},
};
const struct cli_options cli_devices_set_options = CLI_OPTIONS(struct set_args, set_options);

/* Bodies. */
struct device_input {
    const char *id, *product, *hardware, *spki_sha256;
    struct json_texts tags;
};

static const struct json_field input_fields[] = {
    JSON_FIELD(struct device_input, id, JSON_TEXT, 0),       JSON_FIELD(struct device_input, product, JSON_TEXT, 0),
    JSON_FIELD(struct device_input, hardware, JSON_TEXT, 0), JSON_FIELD(struct device_input, spki_sha256, JSON_TEXT, 0),
    JSON_FIELD(struct device_input, tags, JSON_TEXTS, 0),
};
static const struct json_shape input_shape = JSON_SHAPE(struct device_input, input_fields);

struct patch {
    const char *product, *hardware;
    struct json_map attributes;
};

static const struct json_field patch_fields[] = {
    JSON_FIELD(struct patch, product, JSON_TEXT, 0),
    JSON_FIELD(struct patch, hardware, JSON_TEXT, 0),
    JSON_FIELD(struct patch, attributes, JSON_MAP, 0),
};
static const struct json_shape patch_shape = JSON_SHAPE(struct patch, patch_fields);

struct tags_input {
    struct json_texts tags;
};

static const struct json_field tags_fields[] = {
    JSON_FIELD(struct tags_input, tags, JSON_TEXTS, JSON_REQUIRED),
};
static const struct json_shape tags_shape = JSON_SHAPE(struct tags_input, tags_fields);

bool cli_devices_list(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct list_args *list = args;
    const struct cli_query query[] = {
        {"state", list->state},     {"product", list->product},     {"hardware", list->hardware}, {"tag", list->tag},
        {"version", list->version}, {"id_prefix", list->id_prefix}, {"filter", list->filter},
    };
    return cli_view_list(cli, DEVICES, query, ARRAY_LEN(query), &list->paging, &device_view, err);
}

bool cli_devices_show(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    return cli_view_get(cli, cli_view_path(&cli->arena, DEVICES, operands->items[0], (char *)NULL), &device_view, err);
}

bool cli_devices_add(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct add_args *add = args;
    struct device_input input = {.id = operands->items[0], .product = add->product, .hardware = add->hardware, .spki_sha256 = add->spki_sha256};
    const char *tags[ARRAY_LEN(add->tags.items)];
    for (size_t i = 0; i < add->tags.count; i++)
        tags[i] = add->tags.items[i];
    input.tags = (struct json_texts){.count = add->tags.count, .items = tags};
    CLEANUP(buf_free) struct buf body = BUF_INIT(16 * 1024);
    struct cli_reply reply;
    json_write(&body, &input_shape, &input);
    return cli_client_post(cli, DEVICES, &body, &reply, err) && cli_view_show(cli, &reply, &device_view, err);
}

struct accept_args {
    const char *spki_sha256;
};

static const struct cli_option accept_options[] = {
    {"pin", 0, OPTION_TEXT, offsetof(struct accept_args, spki_sha256), "SHA256",
     "hash of the public key that it shall have, also instead of one that was only asked for"},
};
const struct cli_options cli_devices_accept_options = CLI_OPTIONS(struct accept_args, accept_options);

static const struct json_field accept_fields[] = {
    JSON_FIELD(struct accept_args, spki_sha256, JSON_TEXT, 0),
};
static const struct json_shape accept_shape = JSON_SHAPE(struct accept_args, accept_fields);

bool cli_devices_accept(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    CLEANUP(buf_free) struct buf body = BUF_INIT(1024);
    struct cli_reply reply;
    const char *path = cli_view_path(&cli->arena, DEVICES, operands->items[0], "accept", (char *)NULL);
    json_write(&body, &accept_shape, args);
    return cli_client_post(cli, path, &body, &reply, err) && cli_view_show(cli, &reply, &device_view, err);
}

bool cli_devices_revoke(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct cli_verb verb = {
        .collection = DEVICES, .name = "revoke", .question = "refuse it from now on, also on open connections?", .view = &device_view};
    return cli_verb_run(cli, &verb, operands->items[0], args, err);
}

bool cli_devices_retire(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct cli_verb verb = {.collection = DEVICES, .name = "retire", .question = "take it out of service?", .view = &device_view};
    return cli_verb_run(cli, &verb, operands->items[0], args, err);
}

static bool has(const struct option_texts *texts, const char *text) {
    for (size_t i = 0; i < texts->count; i++)
        if (text_equal(texts->items[i], text))
            return true;
    return false;
}

/* The tags that result: what was there (unless --clear) without --remove, then --add. */
static bool merge_tags(struct arena *arena, const struct json_texts *before, const struct tag_args *change, struct json_texts *ret_tags,
                       struct err *err) {
    struct json_texts tags = {.items = arena_array(arena, before->count + change->add.count + 1, sizeof(*tags.items))};
    if (tags.items == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < before->count && !change->clear; i++)
        if (!has(&change->remove, before->items[i]) && !has(&change->add, before->items[i]))
            tags.items[tags.count++] = before->items[i];
    for (size_t i = 0; i < change->add.count; i++)
        tags.items[tags.count++] = change->add.items[i];
    *ret_tags = tags;
    return true;
}

bool cli_devices_tag(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct tag_args *change = args;
    struct cli_reply before;
    struct cli_reply reply;
    struct device device;
    struct tags_input input;
    if (change->add.count + change->remove.count == 0 && !change->clear)
        return err_set(err, ERR_USAGE, "nothing to change: give --add, --remove or --clear");
    if (!cli_client_get(cli, cli_view_path(&cli->arena, DEVICES, operands->items[0], (char *)NULL), &before, err))
        return false;
    if (!json_read(&cli->arena, before.body, before.len, &device_shape, &device, NULL, err))
        return err_prefix(err, "reply of the server");
    if (!merge_tags(&cli->arena, &device.tags, change, &input.tags, err))
        return false;
    CLEANUP(buf_free) struct buf body = BUF_INIT(64 * 1024);
    json_write(&body, &tags_shape, &input);
    const char *path = cli_view_path(&cli->arena, DEVICES, operands->items[0], "tags", (char *)NULL);
    return cli_client_replace(cli, "PUT", path, &before, &body, &reply, err) && cli_view_show(cli, &reply, &device_view, err);
}

static bool read_attributes(struct arena *arena, const struct set_args *set, struct json_map *ret_map, struct err *err) {
    struct json_map map = {.items = arena_array(arena, set->attributes.count + set->gone.count + 1, sizeof(*map.items))};
    if (map.items == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < set->attributes.count; i++) {
        const char *text = set->attributes.items[i];
        const char *equals = strchr(text, '=');
        if (equals == NULL || equals == text)
            return err_set(err, ERR_USAGE, "--attribute %s: NAME=TEXT is expected", text);
        const char *name = arena_strndup(arena, text, (size_t)(equals - text));
        if (name == NULL)
            return err_no_memory(err);
        map.items[map.count++] = (struct json_pair){.name = name, .value = equals + 1};
    }
    for (size_t i = 0; i < set->gone.count; i++)
        map.items[map.count++] = (struct json_pair){.name = set->gone.items[i], .value = NULL};
    if (map.count > 0)
        *ret_map = map;
    return true;
}

bool cli_devices_set(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct set_args *set = args;
    struct patch patch = {.product = set->product, .hardware = set->hardware};
    struct cli_reply reply;
    if (!read_attributes(&cli->arena, set, &patch.attributes, err))
        return false;
    if (set->product == NULL && set->hardware == NULL && patch.attributes.count == 0)
        return err_set(err, ERR_USAGE, "nothing to change: give --product, --hardware, --attribute or --no-attribute");
    CLEANUP(buf_free) struct buf body = BUF_INIT(64 * 1024);
    json_write(&body, &patch_shape, &patch);
    const char *path = cli_view_path(&cli->arena, DEVICES, operands->items[0], (char *)NULL);
    return cli_client_update(cli, "PATCH", path, &body, &reply, err) && cli_view_show(cli, &reply, &device_view, err);
}

bool cli_devices_list_on(struct cli *cli, const char *product, const char *version, struct err *err) {
    const struct cli_query query[] = {{"product", product}, {"version", version}};
    return cli_view_list(cli, DEVICES, query, ARRAY_LEN(query), NULL, &device_view, err);
}
