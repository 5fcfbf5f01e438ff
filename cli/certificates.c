#include "cli/groups.h"
#include "cli/verb.h"
#include "cli/view.h"

#define CERTIFICATES "/api/v1/certificates"

struct certificate {
    const char *serial, *device, *product, *way, *spki_sha256;
    int64_t not_after, issued_at, revoked_at;
};

static const struct json_field certificate_fields[] = {
    JSON_FIELD(struct certificate, serial, JSON_TEXT, JSON_REQUIRED),      JSON_FIELD(struct certificate, device, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct certificate, product, JSON_TEXT, JSON_NULLABLE),     JSON_FIELD(struct certificate, way, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct certificate, spki_sha256, JSON_TEXT, JSON_REQUIRED), JSON_FIELD(struct certificate, not_after, JSON_TIME, JSON_REQUIRED),
    JSON_FIELD(struct certificate, issued_at, JSON_TIME, JSON_REQUIRED),   JSON_FIELD(struct certificate, revoked_at, JSON_TIME, JSON_NULLABLE),
};
static const struct json_shape certificate_shape = JSON_SHAPE_OPEN(struct certificate, certificate_fields);

static const struct cli_column certificate_columns[] = {
    {.title = "SERIAL", .field = "serial"},    {.title = "DEVICE", .field = "device"},     {.title = "WAY", .field = "way"},
    {.title = "ISSUED", .field = "issued_at"}, {.title = "EXPIRES", .field = "not_after"}, {.title = "REVOKED", .field = "revoked_at"},
};
static const struct cli_column certificate_lines[] = {
    {.title = "serial", .field = "serial"},     {.title = "device", .field = "device"},      {.title = "product", .field = "product"},
    {.title = "way", .field = "way"},           {.title = "key", .field = "spki_sha256"},    {.title = "issued", .field = "issued_at"},
    {.title = "expires", .field = "not_after"}, {.title = "revoked", .field = "revoked_at"},
};
static const struct cli_view certificate_view = {.shape = &certificate_shape,
                                                 .list = certificate_columns,
                                                 .list_count = ARRAY_LEN(certificate_columns),
                                                 .show = certificate_lines,
                                                 .show_count = ARRAY_LEN(certificate_lines),
                                                 .none = "no such certificates; those of another CA are not in this list"};

struct list_args {
    const char *device, *product;
    bool in_use;
    struct cli_paging paging;
};

static const struct cli_option list_options[] = {
    {"device", 0, OPTION_TEXT, offsetof(struct list_args, device), "DEVICE", "only of this device"},
    {"product", 0, OPTION_TEXT, offsetof(struct list_args, product), "PRODUCT", "only of this product's devices"},
    {"in-use", 0, OPTION_FLAG, offsetof(struct list_args, in_use), NULL, "only the newest one of each active device"},
    CLI_PAGING_OPTIONS(offsetof(struct list_args, paging), "issued_at, expires_at or device", "issued_at"),
};
const struct cli_options cli_certificates_list_options = CLI_OPTIONS(struct list_args, list_options);

bool cli_certificates_list(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct list_args *list = args;
    const struct cli_query query[] = {{"device", list->device}, {"product", list->product}, {"in_use", list->in_use ? "true" : NULL}};
    return cli_view_list(cli, CERTIFICATES, query, ARRAY_LEN(query), &list->paging, &certificate_view, err);
}

bool cli_certificates_show(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    return cli_view_get(cli, cli_view_path(&cli->arena, CERTIFICATES, operands->items[0], (char *)NULL), &certificate_view, err);
}

bool cli_certificates_revoke(struct cli *cli, const void *args, const struct option_texts *operands, struct err *err) {
    const struct cli_verb verb = {.collection = CERTIFICATES,
                                  .name = "revoke",
                                  .question = "refuse its key from now on? A device that has no other is revoked.",
                                  .view = &certificate_view};
    return cli_verb_run(cli, &verb, operands->items[0], args, err);
}

struct expiring {
    const char *device, *product, *state;
    int64_t expires_at, last_seen;
};

static const struct json_field expiring_fields[] = {
    JSON_FIELD(struct expiring, device, JSON_TEXT, JSON_REQUIRED),    JSON_FIELD(struct expiring, product, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct expiring, state, JSON_TEXT, JSON_REQUIRED),     JSON_FIELD(struct expiring, expires_at, JSON_TIME, JSON_REQUIRED),
    JSON_FIELD(struct expiring, last_seen, JSON_TIME, JSON_NULLABLE),
};
static const struct json_shape expiring_shape = JSON_SHAPE_OPEN(struct expiring, expiring_fields);

static const struct cli_column expiring_columns[] = {
    {.title = "DEVICE", .field = "device"},      {.title = "PRODUCT", .field = "product"},     {.title = "STATE", .field = "state"},
    {.title = "EXPIRES", .field = "expires_at"}, {.title = "LAST SEEN", .field = "last_seen"},
};
static const struct cli_view expiring_view = {
    .shape = &expiring_shape, .list = expiring_columns, .list_count = ARRAY_LEN(expiring_columns), .none = "no certificate ends that soon"};

struct expiring_args {
    const char *within, *product;
    struct cli_paging paging;
};

static const struct cli_option expiring_options[] = {
    {"within", 0, OPTION_TEXT, offsetof(struct expiring_args, within), "TIME", "that end within 12h, 30d … [the server's expiry_warning]"},
    {"product", 0, OPTION_TEXT, offsetof(struct expiring_args, product), "PRODUCT", "only of this product"},
    CLI_PAGING_OPTIONS(offsetof(struct expiring_args, paging), "expires_at", "expires_at"),
};
const struct cli_options cli_certificates_expiring_options = CLI_OPTIONS(struct expiring_args, expiring_options);

bool cli_certificates_expiring(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct expiring_args *asked = args;
    const struct cli_query query[] = {{"within", asked->within}, {"product", asked->product}};
    return cli_view_list(cli, "/api/v1/certificates/expiring", query, ARRAY_LEN(query), &asked->paging, &expiring_view, err);
}
