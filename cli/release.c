#include "trust/release.h"
#include "cli/groups.h"
#include "cli/view.h"
#include "common/text.h"

#define RELEASES "/api/v1/releases"

struct row {
    const char *product, *version, *path, *file, *sha256, *encryption, *notes;
    int64_t sequence, security_version, requires_sequence, size_bytes, created_at, published_at, withdrawn_at;
    struct json_texts hardware;
    bool signature;
};

static const struct json_field row_fields[] = {
    JSON_FIELD(struct row, product, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct row, version, JSON_TEXT, JSON_REQUIRED),
    JSON_FIELD(struct row, sequence, JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct row, security_version, JSON_INT, 0),
    JSON_FIELD(struct row, requires_sequence, JSON_INT, JSON_NULLABLE),
    JSON_FIELD(struct row, hardware, JSON_TEXTS, JSON_NULLABLE),
    JSON_FIELD(struct row, path, JSON_TEXT, 0),
    JSON_FIELD(struct row, file, JSON_TEXT, 0),
    JSON_FIELD(struct row, sha256, JSON_TEXT, 0),
    JSON_FIELD(struct row, size_bytes, JSON_INT, 0),
    JSON_FIELD(struct row, encryption, JSON_TEXT, JSON_NULLABLE),
    JSON_FIELD(struct row, signature, JSON_BOOL, 0),
    JSON_FIELD(struct row, notes, JSON_TEXT, JSON_NULLABLE, .max = RELEASE_NOTES_MAX),
    JSON_FIELD(struct row, created_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct row, published_at, JSON_TIME, JSON_NULLABLE),
    JSON_FIELD(struct row, withdrawn_at, JSON_TIME, JSON_NULLABLE),
};
static const struct json_shape row_shape = JSON_SHAPE_OPEN(struct row, row_fields);

static const struct cli_column list_columns[] = {
    {.title = "PRODUCT", .field = "product"},
    {.title = "VERSION", .field = "version"},
    {.title = "SEQUENCE", .field = "sequence", .right = true},
    {.title = "SECURITY", .field = "security_version", .right = true},
    {.title = "HARDWARE", .field = "hardware"},
    {.title = "BYTES", .field = "size_bytes", .right = true},
    {.title = "PUBLISHED", .field = "published_at"},
};
static const struct cli_column show_columns[] = {
    {.title = "product", .field = "product"},
    {.title = "version", .field = "version"},
    {.title = "sequence", .field = "sequence"},
    {.title = "security version", .field = "security_version"},
    {.title = "requires sequence", .field = "requires_sequence", .zero_is_none = true},
    {.title = "hardware", .field = "hardware"},
    {.title = "path", .field = "path"},
    {.title = "sha256", .field = "sha256"},
    {.title = "bytes", .field = "size_bytes"},
    {.title = "encryption", .field = "encryption"},
    {.title = "detached signature", .field = "signature"},
    {.title = "signed", .field = "created_at"},
    {.title = "published", .field = "published_at"},
    {.title = "withdrawn", .field = "withdrawn_at"},
    {.title = "notes", .field = "notes"},
};
static const struct cli_view release_view = {
    .shape = &row_shape,
    .list = list_columns,
    .list_count = ARRAY_LEN(list_columns),
    .show = show_columns,
    .show_count = ARRAY_LEN(show_columns),
    .none = "no such releases",
};

struct list_args {
    const char *product;
    struct cli_paging paging;
};

static const struct cli_option list_options[] = {
    {"product", 0, OPTION_TEXT, offsetof(struct list_args, product), "PRODUCT", "only of this product"},
    CLI_PAGING_OPTIONS(offsetof(struct list_args, paging), "published_at, product or sequence", "-published_at"),
};
const struct cli_options cli_release_list_options = CLI_OPTIONS(struct list_args, list_options);

bool cli_release_list(struct cli *cli, const void *args, const struct option_texts *operands UNUSED, struct err *err) {
    const struct list_args *list = args;
    const struct cli_query query[] = {{"product", list->product}};
    return cli_view_list(cli, RELEASES, query, ARRAY_LEN(query), &list->paging, &release_view, err);
}

bool cli_release_show(struct cli *cli, const void *args UNUSED, const struct option_texts *operands, struct err *err) {
    const char *path = cli_view_path(&cli->arena, RELEASES, operands->items[0], operands->items[1], (char *)NULL);
    return cli_view_get(cli, path, &release_view, err);
}
