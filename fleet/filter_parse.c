#include "fleet/filter_tree.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_STRING, TOKEN_OPERATOR, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_COMMA };

struct token {
    enum token_kind kind;
    const char *start; /* in the source */
    size_t len;
    const char *text; /* of words and strings: in the arena, without quotes and escapes */
    enum filter_operator op;
};

struct parser {
    struct arena *arena;
    struct err *err;
    const char *source;
    const char *at;
    struct token token; /* the one to be looked at */
    int depth;
    size_t terms;
};

static bool parse_or(struct parser *parser, const struct fleet_filter **ret_filter);

/* ---- messages ---- */

static bool fail_at(struct parser *parser, const char *at, const char *text) {
    size_t column = 1;

    for (const char *c = parser->source; c < at; c++)
        column += ((unsigned char)*c & 0xc0) != 0x80;
    return err_set_field(parser->err, ERR_INVALID, "filter", "column %zu: %s", column, text);
}

/* "column 14: expected a value, found ')'". */
static bool expected(struct parser *parser, const char *what) {
    enum { SHOWN = 32 };
    const struct token *token = &parser->token;
    char text[ERR_TEXT_SIZE / 2];
    size_t len = token->len;
    while (len > SHOWN || (len < token->len && ((unsigned char)token->start[len] & 0xc0) == 0x80))
        len--;
    if (token->kind == TOKEN_END)
        snprintf(text, sizeof text, "expected %s, found the end", what);
    else
        snprintf(text, sizeof text, "expected %s, found '%.*s%s'", what, (int)len, token->start, len < token->len ? "…" : "");
    return fail_at(parser, token->start, text);
}

/* ---- tokens ---- */

static bool take_string(struct parser *parser, struct token *token) {
    char value[FLEET_FILTER_MAX_VALUE + 1];
    size_t len = 0;
    const char *at = token->start + 1;

    for (; *at != '\0' && *at != '"'; at++) {
        if (*at == '\\' && *++at != '"' && *at != '\\')
            return fail_at(parser, at - 1, "expected \\\" or \\\\ behind a backslash");
        if (len == FLEET_FILTER_MAX_VALUE)
            return fail_at(parser, token->start, "a value has at most 256 bytes");
        value[len++] = *at;
    }
    if (*at == '\0')
        return fail_at(parser, token->start, "expected a closing quote, found the end");
    value[len] = '\0';
    token->kind = TOKEN_STRING;
    token->len = (size_t)(at + 1 - token->start);
    token->text = arena_strdup(parser->arena, value);
    return token->text || err_no_memory(parser->err);
}

static bool take_word(struct parser *parser, struct token *token) {
    while (filter_is_word_char(token->start[token->len]))
        token->len++;
    if (token->len > FLEET_FILTER_MAX_VALUE)
        return fail_at(parser, token->start, "a value has at most 256 bytes");
    token->kind = TOKEN_WORD;
    token->text = arena_strndup(parser->arena, token->start, token->len);
    return token->text || err_no_memory(parser->err);
}

static bool take_operator(struct token *token) {
    /* The longer first. */
    static const enum filter_operator signs[] = {FILTER_EQUAL, FILTER_NOT_EQUAL, FILTER_LESS_EQUAL, FILTER_GREATER_EQUAL,
                                                 FILTER_LIKE,  FILTER_LESS,      FILTER_GREATER};
    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        if (text_starts(token->start, filter_operators[signs[i]])) {
            token->kind = TOKEN_OPERATOR;
            token->op = signs[i];
            token->len = strlen(filter_operators[signs[i]]);
            return true;
        }
    }
    return false;
}

/* Reads the next token into parser->token. */
static bool advance(struct parser *parser) {
    static const struct {
        char sign;
        enum token_kind kind;
    } signs[] = {{'(', TOKEN_OPEN}, {')', TOKEN_CLOSE}, {',', TOKEN_COMMA}};
    parser->at += strspn(parser->at, " \t\r\n");
    struct token token = {.kind = TOKEN_END, .start = parser->at};
    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        if (*parser->at == signs[i].sign)
            token.kind = signs[i].kind;
    if (token.kind != TOKEN_END) {
        token.len = 1;
    } else if (*parser->at == '"') {
        if (!take_string(parser, &token))
            return false;
    } else if (filter_is_word_char(*parser->at)) {
        if (!take_word(parser, &token))
            return false;
    } else if (*parser->at == '=' && parser->at[1] != '=') {
        return fail_at(parser, parser->at, "expected '==', found '='");
    } else if (*parser->at != '\0' && !take_operator(&token)) {
        uint32_t point;

        token.kind = TOKEN_STRING; /* so that the message shows it */
        token.len = text_utf8_next(parser->at, strlen(parser->at), &point);
        parser->token = token;
        return expected(parser, "a field, an operator, a value in quotes or a parenthesis");
    }
    parser->token = token;
    parser->at += token.len;
    return true;
}

static bool is_keyword(const struct parser *parser, const char *keyword) {
    return parser->token.kind == TOKEN_WORD && strcmp(parser->token.text, keyword) == 0;
}

/* ---- tests ---- */

static bool count_term(struct parser *parser) {
    return ++parser->terms <= FLEET_FILTER_MAX_TERMS || fail_at(parser, parser->token.start, "a filter has at most 256 comparisons and values");
}

static bool find_field(struct parser *parser, struct fleet_filter *test) {
    static const char fields[] = "a field (id, product, hardware, version, sequence, state, last_seen, tag, attribute.NAME), 'not' or '('";
    const struct token field = parser->token;

    if (field.kind != TOKEN_WORD)
        return expected(parser, fields);
    for (size_t i = 0; i < FILTER_ATTRIBUTE; i++) {
        if (strcmp(field.text, filter_fields[i].name) == 0) {
            test->field = (enum filter_field)i;
            return advance(parser);
        }
    }
    const char *prefix = filter_fields[FILTER_ATTRIBUTE].name;
    if (!text_starts(field.text, prefix))
        return expected(parser, fields);
    test->field = FILTER_ATTRIBUTE;
    test->attribute = field.text + strlen(prefix);
    if (*test->attribute != '\0')
        return advance(parser);
    /* attribute."any name" */
    if (!advance(parser))
        return false;
    if (parser->token.kind != TOKEN_STRING || parser->token.start != field.start + field.len || *parser->token.text == '\0')
        return expected(parser, "the name of an attribute right behind the dot");
    test->attribute = parser->token.text;
    return advance(parser);
}

static bool find_operator(struct parser *parser, struct fleet_filter *test) {
    const struct filter_field_row *row = &filter_fields[test->field];
    bool is_in = is_keyword(parser, "in");
    enum filter_operator op = is_in ? FILTER_IN : parser->token.op;

    if ((is_in || parser->token.kind == TOKEN_OPERATOR) && (row->operators & (1u << op)) != 0) {
        test->op = op;
        return advance(parser);
    }
    char list[64] = "";
    size_t len = 0;
    for (unsigned i = 0; i < FILTER_OPERATOR_COUNT; i++)
        if ((row->operators & (1u << i)) != 0)
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len > 0 ? " " : "", filter_operators[i]);
    char what[128];
    snprintf(what, sizeof what, "an operator of '%s' (%s)", row->name, list);
    return expected(parser, what);
}

static bool is_order(enum filter_operator op) {
    return op == FILTER_LESS || op == FILTER_LESS_EQUAL || op == FILTER_GREATER || op == FILTER_GREATER_EQUAL;
}

static bool convert(struct parser *parser, const struct fleet_filter *test, struct filter_value *value) {
    enum filter_type type = filter_fields[test->field].type;
    enum fleet_device_state state;

    if (type == FILTER_NUMBER || (test->field == FILTER_ATTRIBUTE && is_order(test->op))) {
        if (!text_to_int(value->text, INT64_MIN, INT64_MAX, &value->number))
            return expected(parser, "a whole number");
        value->text = arena_printf(parser->arena, "%lld", (long long)value->number);
        return value->text || err_no_memory(parser->err);
    }
    if (type == FILTER_TIME)
        return clock_parse_rfc3339(value->text, &value->number) || expected(parser, "a time like 2026-11-22T08:00:00Z");
    if (type == FILTER_STATE_NAME) {
        if (!fleet_device_state_parse(value->text, &state))
            return expected(parser, "pending, active, revoked or retired");
        value->number = (int64_t)state;
    }
    return true;
}

static bool take_value(struct parser *parser, struct fleet_filter *test, struct filter_value *value) {
    const struct token *token = &parser->token;

    if (token->kind != TOKEN_STRING && (token->kind != TOKEN_WORD || !filter_is_word(token->text)))
        return expected(parser, "a value");
    if (!count_term(parser))
        return false;
    value->text = token->text;
    return convert(parser, test, value) && advance(parser);
}

/* "(" value { "," value } ")" */
static bool take_list(struct parser *parser, struct fleet_filter *test) {
    struct filter_value values[FLEET_FILTER_MAX_TERMS];

    if (parser->token.kind != TOKEN_OPEN)
        return expected(parser, "'(' behind 'in'");
    do {
        if (!advance(parser) || !take_value(parser, test, &values[test->value_count]))
            return false;
        test->value_count++;
    } while (parser->token.kind == TOKEN_COMMA);
    if (parser->token.kind != TOKEN_CLOSE)
        return expected(parser, "',' or ')'");
    test->values = arena_memdup(parser->arena, values, test->value_count * sizeof values[0]);
    return test->values ? advance(parser) : err_no_memory(parser->err);
}

static bool parse_test(struct parser *parser, const struct fleet_filter **ret_filter) {
    struct fleet_filter *test = arena_alloc(parser->arena, sizeof *test);
    struct filter_value single;

    if (!test)
        return err_no_memory(parser->err);
    test->kind = FILTER_TEST;
    if (!find_field(parser, test) || !find_operator(parser, test))
        return false;
    if (test->op == FILTER_IN) {
        if (!take_list(parser, test))
            return false;
    } else {
        if (!take_value(parser, test, &single))
            return false;
        test->value_count = 1;
        test->values = arena_memdup(parser->arena, &single, sizeof single);
        if (!test->values)
            return err_no_memory(parser->err);
    }
    test->ids = arena_array(parser->arena, test->value_count, sizeof *test->ids);
    if (!test->ids)
        return err_no_memory(parser->err);
    for (size_t i = 0; i < test->value_count; i++)
        test->ids[i] = test->values[i].text;
    *ret_filter = test;
    return true;
}

/* ---- the grammar ---- */

/* "not" unary | "(" or ")" | test */
static bool parse_unary(struct parser *parser, const struct fleet_filter **ret_filter) {
    bool is_not = is_keyword(parser, "not");

    if (!is_not && parser->token.kind != TOKEN_OPEN)
        return parse_test(parser, ret_filter);
    if (parser->depth == FLEET_FILTER_MAX_DEPTH)
        return fail_at(parser, parser->token.start, "parentheses and 'not' go at most 16 deep");
    parser->depth++;
    const struct fleet_filter *part = NULL;
    if (!advance(parser) || !(is_not ? parse_unary(parser, &part) : parse_or(parser, &part)))
        return false;
    parser->depth--;
    if (!is_not) {
        if (parser->token.kind != TOKEN_CLOSE)
            return expected(parser, "'and', 'or' or ')'");
        *ret_filter = part;
        return advance(parser);
    }
    struct fleet_filter *filter = arena_alloc(parser->arena, sizeof *filter);
    const struct fleet_filter **parts = arena_memdup(parser->arena, &part, sizeof part);
    if (!filter || !parts)
        return err_no_memory(parser->err);
    *filter = (struct fleet_filter){.kind = FILTER_NOT, .parts = parts, .part_count = 1};
    *ret_filter = filter;
    return true;
}

/* Appends part, or its parts when it is of the same kind. */
static void flatten(enum filter_kind kind, const struct fleet_filter *part, const struct fleet_filter **parts, size_t *count) {
    if (part->kind != kind) {
        parts[(*count)++] = part;
        return;
    }
    for (size_t i = 0; i < part->part_count; i++)
        parts[(*count)++] = part->parts[i];
}

/* operand { keyword operand } */
static bool parse_chain(struct parser *parser, enum filter_kind kind, const char *keyword,
                        bool (*operand)(struct parser *, const struct fleet_filter **), const struct fleet_filter **ret_filter) {
    const struct fleet_filter *parts[FLEET_FILTER_MAX_TERMS]; /* each holds one term at least */
    const struct fleet_filter *part = NULL;
    size_t count = 0;

    if (!operand(parser, &part))
        return false;
    if (!is_keyword(parser, keyword)) {
        *ret_filter = part;
        return true;
    }
    flatten(kind, part, parts, &count);
    while (is_keyword(parser, keyword)) {
        if (!advance(parser) || !operand(parser, &part))
            return false;
        flatten(kind, part, parts, &count);
    }
    struct fleet_filter *filter = arena_alloc(parser->arena, sizeof *filter);
    const struct fleet_filter **kept = arena_memdup(parser->arena, parts, count * sizeof parts[0]);
    if (!filter || !kept)
        return err_no_memory(parser->err);
    *filter = (struct fleet_filter){.kind = kind, .parts = kept, .part_count = count};
    *ret_filter = filter;
    return true;
}

static bool parse_and(struct parser *parser, const struct fleet_filter **ret_filter) {
    return parse_chain(parser, FILTER_AND, "and", parse_unary, ret_filter);
}

static bool parse_or(struct parser *parser, const struct fleet_filter **ret_filter) {
    return parse_chain(parser, FILTER_OR, "or", parse_and, ret_filter);
}

static bool check_text(const char *text, struct err *err) {
    if (strlen(text) > FLEET_FILTER_MAX_BYTES)
        return err_set_field(err, ERR_INVALID, "filter", "a filter has at most %d bytes", FLEET_FILTER_MAX_BYTES);
    for (const char *c = text; *c != '\0'; c++)
        if (*c != '\t' && *c != '\n' && *c != '\r' && ((unsigned char)*c < 0x20 || *c == 0x7f))
            return err_set_field(err, ERR_INVALID, "filter", "a filter has no control characters");
    return text_is_utf8(text, strlen(text)) || err_set_field(err, ERR_INVALID, "filter", "a filter must be UTF-8");
}

bool fleet_filter_parse(struct arena *arena, const char *text, const struct fleet_filter **ret_filter, struct err *err) {
    static const struct fleet_filter everything = {.kind = FILTER_EVERYTHING};
    struct parser parser = {.arena = arena, .err = err, .source = text, .at = text};
    const struct fleet_filter *filter = &everything;

    if (!check_text(text, err) || !advance(&parser))
        return false;
    if (parser.token.kind != TOKEN_END) {
        if (!parse_or(&parser, &filter))
            return false;
        if (parser.token.kind != TOKEN_END)
            return expected(&parser, "'and', 'or' or the end");
    }
    /* What is printed must be a filter again. */
    CLEANUP(buf_free) struct buf printed = BUF_INIT(FLEET_FILTER_MAX_BYTES);
    fleet_filter_print(filter, &printed);
    if (printed.failed == ERR_TOO_LARGE)
        return err_set_field(err, ERR_INVALID, "filter", "a filter has at most %d bytes in its canonical form", FLEET_FILTER_MAX_BYTES);
    if (!buf_ok(&printed, "the filter", err))
        return false;
    *ret_filter = filter;
    return true;
}
