#include "api/import.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/call.h"
#include "api/shapes.h"
#include "common/csv.h"
#include "common/hex.h"
#include "common/text.h"

enum { ARENA_BYTES = 512 * 1024 * 1024, COLUMNS_MAX = 64, TAGS_MAX = 32 };

static const char attribute_prefix[] = "attribute.";

bool api_import_new(struct api_call *call, struct api_import **ret_import, struct err *err) {
    static const struct {
        const char *type;
        bool is_csv;
    } kinds[] = {{"application/x-ndjson", false}, {"text/csv", true}};
    const char *type = api_header(call, "Content-Type");
    for (size_t i = 0; type != NULL && i < ARRAY_LEN(kinds); i++) {
        size_t len = strlen(kinds[i].type);
        if (strncasecmp(type, kinds[i].type, len) != 0 || strchr("; \t", type[len]) == NULL)
            continue;
        struct api_import *import = calloc(1, sizeof(*import));
        if (import == NULL)
            return err_no_memory(err);
        arena_init(&import->arena, ARENA_BYTES);
        buf_init(&import->line, API_IMPORT_LINE_MAX);
        import->is_csv = kinds[i].is_csv;
        *ret_import = import;
        return true;
    }
    return err_set(err, ERR_MEDIA_TYPE, "the body must be application/x-ndjson or text/csv");
}

void api_import_free(struct api_import *import) {
    if (import == NULL)
        return;
    buf_free(&import->line);
    arena_clear(&import->arena);
    free(import->rows);
    free(import);
}

/* ---- errors ---- */

/* What concerns the import as a whole, not a row. */
static bool is_fatal(const struct err *err) {
    return err->code == ERR_NO_MEMORY || err->code == ERR_SCOPE || err->code == ERR_IO || err->code == ERR_INTERNAL;
}

static bool note_error(struct api_import *import, int64_t line, struct err *err) {
    if (is_fatal(err))
        return false;
    import->error_count++;
    if (import->error_kept == API_IMPORT_ERRORS_MAX)
        return true;
    const char *field = arena_strdup(&import->arena, err->field);
    const char *detail = arena_strdup(&import->arena, err->text);
    if (field == NULL || detail == NULL)
        return err_no_memory(err);
    import->errors[import->error_kept++] = (struct api_problem_row){.line = line, .field = field, .detail = detail};
    return true;
}

/* ---- one row ---- */

static bool check_attributes(const struct json_map *attributes, struct err *err) {
    for (size_t i = 0; i < attributes->count; i++)
        if (!api_check_attribute(attributes->items[i].name, attributes->items[i].value, err))
            return false;
    return true;
}

static bool check_row(const struct db_device_row *row, struct err *err) {
    for (size_t i = 0; i < row->tags.count; i++)
        if (!api_check_id(row->tags.items[i], "tags", err))
            return false;
    return api_check_id(row->id, "id", err) && (row->product == NULL || api_check_id(row->product, "product", err)) &&
           (row->hardware == NULL || api_check_id(row->hardware, "hardware", err)) && check_attributes(&row->attributes, err);
}

bool api_import_check_reach(struct api_call *call, const struct db_device_row *row, struct err *err) {
    CLEANUP(arena_clear) struct arena scratch;
    struct db_device device;
    struct err why;
    arena_init(&scratch, 1 << 20);
    if (api_allow(call, NULL, &why))
        return true;
    bool exists = db_device_get(call->db, row->id, &scratch, &device, err);
    if (!exists && err->code != ERR_NOT_FOUND)
        return false;
    if (exists && !api_allow(call, device.product, &why))
        return err_set(err, ERR_SCOPE, "device '%s' is of no product that the token reaches", row->id);
    return (exists && row->product == NULL) || api_allow(call, row->product, err);
}

static bool check_against_store(struct api_call *call, struct api_import *import, const struct db_device_row *row, enum db_import_effect *ret_effect,
                                struct err *err) {
    if (!api_import_check_reach(call, row, err) || !db_device_import_check(call->db, row, ret_effect, err))
        return false;
    import->effects[*ret_effect]++;
    return true;
}

static bool keep_row(struct api_import *import, const struct db_device_row *row, enum db_import_effect effect, struct err *err) {
    if (import->row_count == API_IMPORT_ROWS_MAX)
        return err_set(err, ERR_TOO_LARGE, "an import has at most %d rows", API_IMPORT_ROWS_MAX);
    if (import->row_count == import->row_cap) {
        size_t cap = import->row_cap > 0 ? import->row_cap * 2 : 1024;
        struct api_import_row *rows = reallocarray(import->rows, cap, sizeof(*rows));
        if (rows == NULL)
            return err_no_memory(err);
        import->rows = rows;
        import->row_cap = cap;
    }
    import->rows[import->row_count++] = (struct api_import_row){.line = import->line_number, .row = *row, .effect = effect};
    return true;
}

static bool set_pin(struct api_import *import, const char *hex, struct db_device_row *row, struct err *err) {
    uint8_t pin[DB_PIN_SIZE];
    if (strlen(hex) != 2 * sizeof(pin) || !hex_decode(hex, strlen(hex), pin))
        return err_set_field(err, ERR_INVALID, "spki_sha256", "'spki_sha256' must be 64 lower-case hex digits");
    row->pin = arena_memdup(&import->arena, pin, sizeof(pin));
    return row->pin != NULL || err_no_memory(err);
}

static bool row_of_json(struct api_import *import, struct db_device_row *row, struct err *err) {
    struct api_device_row input;
    if (!json_read(&import->arena, import->line.data, import->line.len, &api_shape_device_row, &input, NULL, err))
        return false;
    *row = (struct db_device_row){
        .id = input.id,
        .product = input.product,
        .hardware = input.hardware,
        .has_tags = input.tags.items != NULL,
        .tags = {.count = input.tags.count, .items = input.tags.items},
        .attributes = input.attributes,
    };
    return input.spki_sha256 == NULL || set_pin(import, input.spki_sha256, row, err);
}

/* ---- CSV ---- */

static bool find_columns(struct api_import *import, const char **cells, size_t count, struct err *err) {
    static const char *const known[] = {"id", "product", "hardware", "tags", "spki_sha256"};
    bool has_id = false;
    for (size_t i = 0; i < count; i++) {
        bool good = text_starts(cells[i], attribute_prefix) && api_check_attribute(cells[i] + strlen(attribute_prefix), "", err);
        for (size_t j = 0; j < ARRAY_LEN(known); j++)
            good |= strcmp(cells[i], known[j]) == 0;
        if (!good)
            return err_set(err, ERR_INVALID, "column '%.64s' is not known; expected id, product, hardware, tags, spki_sha256 or attribute.NAME",
                           cells[i]);
        for (size_t j = 0; j < i; j++)
            if (strcmp(cells[i], cells[j]) == 0)
                return err_set(err, ERR_INVALID, "column '%.64s' is there twice", cells[i]);
        has_id |= strcmp(cells[i], "id") == 0;
    }
    if (!has_id)
        return err_set(err, ERR_INVALID, "the first line must name the columns, id among them");
    import->columns = arena_memdup(&import->arena, cells, count * sizeof(cells[0]));
    import->column_count = count;
    return import->columns != NULL || err_no_memory(err);
}

/* "canary eu-west". */
static bool set_tags(struct api_import *import, const char *cell, struct db_device_row *row, struct err *err) {
    const char *tags[TAGS_MAX];
    row->has_tags = true;
    for (const char *at = cell + strspn(cell, " "); *at != '\0'; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        if (row->tags.count == TAGS_MAX)
            return err_set_field(err, ERR_INVALID, "tags", "a device has at most %d tags", TAGS_MAX);
        const char *tag = arena_strndup(&import->arena, at, len);
        if (tag == NULL)
            return err_no_memory(err);
        tags[row->tags.count++] = tag;
        at += len;
    }
    row->tags.items = arena_memdup(&import->arena, tags, row->tags.count * sizeof(tags[0]));
    return row->tags.items != NULL || row->tags.count == 0 || err_no_memory(err);
}

static bool set_cell(struct api_import *import, const char *column, const char *cell, struct db_device_row *row, struct err *err) {
    if (strcmp(column, "tags") == 0)
        return set_tags(import, cell, row, err);
    if (strcmp(column, "spki_sha256") == 0)
        return set_pin(import, cell, row, err);
    if (text_starts(column, attribute_prefix)) {
        row->attributes.items[row->attributes.count++] = (struct json_pair){.name = column + strlen(attribute_prefix), .value = cell};
        return true;
    }
    *(strcmp(column, "id") == 0 ? &row->id : strcmp(column, "product") == 0 ? &row->product : &row->hardware) = cell;
    return true;
}

/* An empty cell is not given. */
static bool row_of_csv(struct api_import *import, struct db_device_row *row, bool *ret_is_row, struct err *err) {
    const char *cells[COLUMNS_MAX];
    size_t count;
    char *line = arena_strndup(&import->arena, import->line.data, import->line.len);
    if (line == NULL)
        return err_no_memory(err);
    if (!text_is_utf8(line, strlen(line)) || strlen(line) != import->line.len)
        return err_set(err, ERR_INVALID, "the line is no UTF-8 text");
    if (!csv_split(line, cells, COLUMNS_MAX, &count, err))
        return false;
    *ret_is_row = import->columns != NULL;
    if (import->columns == NULL)
        return find_columns(import, cells, count, err);
    if (count != import->column_count)
        return err_set(err, ERR_INVALID, "%zu cells where the first line names %zu columns", count, import->column_count);
    *row = (struct db_device_row){.id = ""};
    row->attributes.items = arena_array(&import->arena, count, sizeof(struct json_pair));
    if (row->attributes.items == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (cells[i][0] != '\0' && !set_cell(import, import->columns[i], cells[i], row, err))
            return false;
    return true;
}

/* ---- lines ---- */

static bool read_row(struct api_call *call, struct api_import *import, struct err *err) {
    struct db_device_row row = {.id = ""};
    enum db_import_effect effect = DB_IMPORT_UNCHANGED;
    bool is_row = true;
    if (import->is_csv ? !row_of_csv(import, &row, &is_row, err) : !row_of_json(import, &row, err))
        return false;
    if (!is_row)
        return true;
    return check_row(&row, err) && check_against_store(call, import, &row, &effect, err) && keep_row(import, &row, effect, err);
}

static bool end_line(struct api_call *call, struct api_import *import, struct err *err) {
    struct buf *line = &import->line;
    bool good = true;
    import->line_number++;
    if (line->failed == ERR_TOO_LARGE) {
        (void)err_set(err, ERR_INVALID, "the line is longer than %d bytes", API_IMPORT_LINE_MAX);
        good = note_error(import, import->line_number, err);
    } else if (line->failed != ERR_NONE) {
        return err_no_memory(err);
    } else {
        if (line->len > 0 && line->data[line->len - 1] == '\r')
            line->data[--line->len] = '\0';
        bool blank = line->len == 0 || line->data[strspn(line->data, " \t")] == '\0';
        if (!blank && !read_row(call, import, err)) {
            if (err->code == ERR_TOO_LARGE && import->row_count == API_IMPORT_ROWS_MAX)
                return false;
            good = note_error(import, import->line_number, err);
            if (good && import->is_csv && import->columns == NULL) /* without columns nothing else can be read */
                return err_prefix(err, "line %lld", (long long)import->line_number);
        }
    }
    buf_reset(line);
    return good;
}

bool api_import_feed(struct api_call *call, struct api_import *import, const char *data, size_t len, struct err *err) {
    while (len > 0) {
        const char *newline = memchr(data, '\n', len);
        size_t part = newline != NULL ? (size_t)(newline - data) : len;
        buf_append(&import->line, data, part);
        if (newline == NULL)
            return true;
        if (!end_line(call, import, err))
            return false;
        data += part + 1;
        len -= part + 1;
    }
    return true;
}

/* ---- all rows together ---- */

static int by_id(const void *a, const void *b) {
    const struct api_import_row *const *x = a, *const *y = b;
    int order = strcmp((*x)->row.id, (*y)->row.id);
    return order != 0 ? order : (*x)->line < (*y)->line ? -1 : 1;
}

static int by_pin(const void *a, const void *b) {
    const struct api_import_row *const *x = a, *const *y = b;
    int order = memcmp((*x)->row.pin, (*y)->row.pin, DB_PIN_SIZE);
    return order != 0 ? order : (*x)->line < (*y)->line ? -1 : 1;
}

static int by_line(const void *a, const void *b) {
    const struct api_problem_row *x = a, *y = b;
    return (x->line > y->line) - (x->line < y->line);
}

/* sorted: neighbours that are equal are doubles of each other. */
static bool note_doubles(struct api_import *import, const struct api_import_row **sorted, size_t count, bool of_pins, struct err *err) {
    for (size_t i = 1; i < count; i++) {
        const struct api_import_row *row = sorted[i], *other = sorted[i - 1];
        if (of_pins ? memcmp(row->row.pin, other->row.pin, DB_PIN_SIZE) != 0 : strcmp(row->row.id, other->row.id) != 0)
            continue;
        err_set_field(err, ERR_CONFLICT, of_pins ? "spki_sha256" : "id", "%s is also on line %lld", of_pins ? "this key" : "this id",
                      (long long)other->line);
        if (!note_error(import, row->line, err))
            return false;
    }
    return true;
}

static bool check_together(struct api_import *import, struct err *err) {
    const struct api_import_row **sorted = arena_array(&import->arena, import->row_count + 1, sizeof(struct api_import_row *));
    size_t with_pin = 0;
    if (sorted == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < import->row_count; i++)
        sorted[i] = &import->rows[i];
    qsort(sorted, import->row_count, sizeof(struct api_import_row *), by_id);
    if (!note_doubles(import, sorted, import->row_count, false, err))
        return false;
    for (size_t i = 0; i < import->row_count; i++)
        if (import->rows[i].row.pin != NULL)
            sorted[with_pin++] = &import->rows[i];
    qsort(sorted, with_pin, sizeof(struct api_import_row *), by_pin);
    if (!note_doubles(import, sorted, with_pin, true, err))
        return false;
    qsort(import->errors, import->error_kept, sizeof(import->errors[0]), by_line);
    return true;
}

bool api_import_end(struct api_call *call, struct api_import *import, struct err *err) {
    bool has_rest = import->line.len > 0 || import->line.failed != ERR_NONE;
    return (!has_rest || end_line(call, import, err)) && check_together(import, err);
}
