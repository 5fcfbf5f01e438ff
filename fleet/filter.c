#include "fleet/filter_tree.h"

#include <string.h>

#include "common/text.h"

#define BIT(op)  (1u << (op))
#define EQUALITY (BIT(FILTER_EQUAL) | BIT(FILTER_NOT_EQUAL) | BIT(FILTER_IN))
#define ORDER    (BIT(FILTER_LESS) | BIT(FILTER_LESS_EQUAL) | BIT(FILTER_GREATER) | BIT(FILTER_GREATER_EQUAL))

const struct filter_field_row filter_fields[FILTER_FIELD_COUNT] = {
    [FILTER_ID] = {"id", FILTER_TEXT, EQUALITY | BIT(FILTER_LIKE)},
    [FILTER_PRODUCT] = {"product", FILTER_TEXT, EQUALITY | BIT(FILTER_LIKE)},
    [FILTER_HARDWARE] = {"hardware", FILTER_TEXT, EQUALITY | BIT(FILTER_LIKE)},
    [FILTER_VERSION] = {"version", FILTER_TEXT, EQUALITY | BIT(FILTER_LIKE)},
    [FILTER_SEQUENCE] = {"sequence", FILTER_NUMBER, EQUALITY | ORDER},
    [FILTER_STATE] = {"state", FILTER_STATE_NAME, EQUALITY},
    [FILTER_LAST_SEEN] = {"last_seen", FILTER_TIME, ORDER},
    [FILTER_TAG] = {"tag", FILTER_TEXT, EQUALITY | BIT(FILTER_LIKE)},
    [FILTER_ATTRIBUTE] = {"attribute.", FILTER_TEXT, EQUALITY | ORDER | BIT(FILTER_LIKE)},
};

const char *const filter_operators[FILTER_OPERATOR_COUNT] = {
    [FILTER_EQUAL] = "==",      [FILTER_NOT_EQUAL] = "!=", [FILTER_LIKE] = "~",           [FILTER_LESS] = "<",
    [FILTER_LESS_EQUAL] = "<=", [FILTER_GREATER] = ">",    [FILTER_GREATER_EQUAL] = ">=", [FILTER_IN] = "in",
};

/* ---- one device ---- */

/* '*' is any run of bytes, '?' one character. */
static bool like(const char *pattern, const char *text) {
    const char *star = NULL;
    const char *retry = NULL;

    while (*text != '\0') {
        uint32_t point;

        if (*pattern == '*') {
            star = ++pattern;
            retry = text;
        } else if (*pattern == '?') {
            size_t step = text_utf8_next(text, strlen(text), &point);

            pattern++;
            text += step > 0 ? step : 1;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++retry;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

static bool compare_text(const struct fleet_filter *test, const char *text) {
    if (test->op == FILTER_LIKE)
        return like(test->values[0].text, text);
    for (size_t i = 0; i < test->value_count; i++)
        if (strcmp(test->values[i].text, text) == 0)
            return true;
    return false;
}

static bool compare_number(const struct fleet_filter *test, int64_t number) {
    int64_t value = test->values[0].number;

    switch (test->op) {
    case FILTER_LESS:
        return number < value;
    case FILTER_LESS_EQUAL:
        return number <= value;
    case FILTER_GREATER:
        return number > value;
    case FILTER_GREATER_EQUAL:
        return number >= value;
    default:
        for (size_t i = 0; i < test->value_count; i++)
            if (test->values[i].number == number)
                return true;
        return false;
    }
}

static bool has_tag(const struct fleet_filter *test, const struct fleet_filter_subject *subject) {
    for (size_t i = 0; i < subject->tag_count; i++)
        if (compare_text(test, subject->tags[i]))
            return true;
    return false;
}

static bool has_attribute(const struct fleet_filter *test, const struct fleet_filter_subject *subject) {
    for (size_t i = 0; i < subject->attribute_count; i++) {
        int64_t number;

        if (strcmp(subject->attributes[i].name, test->attribute) != 0)
            continue;
        const char *value = subject->attributes[i].value;
        if ((BIT(test->op) & ORDER) == 0)
            return compare_text(test, value);
        return text_to_int(value, INT64_MIN, INT64_MAX, &number) && compare_number(test, number);
    }
    return false;
}

static bool known_text(const struct fleet_filter *test, const char *text) {
    return text && *text != '\0' && compare_text(test, text);
}

/* Without a look at "!=", which is the opposite of "==". */
static bool test_holds(const struct fleet_filter *test, const struct fleet_filter_subject *subject) {
    switch (test->field) {
    case FILTER_ID:
        return known_text(test, subject->id);
    case FILTER_PRODUCT:
        return known_text(test, subject->product);
    case FILTER_HARDWARE:
        return known_text(test, subject->hardware);
    case FILTER_VERSION:
        return known_text(test, subject->version);
    case FILTER_SEQUENCE:
        return subject->sequence_known && compare_number(test, subject->sequence);
    case FILTER_STATE:
        return compare_number(test, (int64_t)subject->state);
    case FILTER_LAST_SEEN:
        return subject->last_seen != 0 && compare_number(test, subject->last_seen);
    case FILTER_TAG:
        return has_tag(test, subject);
    case FILTER_ATTRIBUTE:
        return has_attribute(test, subject);
    case FILTER_FIELD_COUNT:
        break;
    }
    return false;
}

static enum fleet_filter_answer ask_test(const struct fleet_filter *test, const struct fleet_filter_subject *subject, unsigned unread) {
    if ((fleet_filter_needs(test) & unread) != 0)
        return FLEET_FILTER_MAYBE;
    return test_holds(test, subject) != (test->op == FILTER_NOT_EQUAL) ? FLEET_FILTER_YES : FLEET_FILTER_NO;
}

/* "and" ends with the first no, "or" with the first yes. */
static enum fleet_filter_answer ask_parts(const struct fleet_filter *filter, const struct fleet_filter_subject *subject, unsigned unread) {
    enum fleet_filter_answer last = filter->kind == FILTER_AND ? FLEET_FILTER_NO : FLEET_FILTER_YES;
    enum fleet_filter_answer answer = filter->kind == FILTER_AND ? FLEET_FILTER_YES : FLEET_FILTER_NO;

    for (size_t i = 0; i < filter->part_count; i++) {
        enum fleet_filter_answer part = fleet_filter_ask(filter->parts[i], subject, unread);

        if (part == last)
            return last;
        answer = part == FLEET_FILTER_MAYBE ? part : answer;
    }
    return answer;
}

enum fleet_filter_answer fleet_filter_ask(const struct fleet_filter *filter, const struct fleet_filter_subject *subject, unsigned unread) {
    enum fleet_filter_answer part;

    switch (filter->kind) {
    case FILTER_EVERYTHING:
        return FLEET_FILTER_YES;
    case FILTER_AND:
    case FILTER_OR:
        return ask_parts(filter, subject, unread);
    case FILTER_NOT:
        part = fleet_filter_ask(filter->parts[0], subject, unread);
        return part == FLEET_FILTER_MAYBE ? part : part == FLEET_FILTER_NO ? FLEET_FILTER_YES : FLEET_FILTER_NO;
    case FILTER_TEST:
        return ask_test(filter, subject, unread);
    }
    return FLEET_FILTER_NO;
}

bool fleet_filter_match(const struct fleet_filter *filter, const struct fleet_filter_subject *subject) {
    return fleet_filter_ask(filter, subject, 0) == FLEET_FILTER_YES;
}

/* ---- the whole fleet ---- */

unsigned fleet_filter_needs(const struct fleet_filter *filter) {
    unsigned needs = 0;

    if (filter->kind == FILTER_TEST)
        return filter->field == FILTER_TAG ? FLEET_FILTER_TAGS : filter->field == FILTER_ATTRIBUTE ? FLEET_FILTER_ATTRIBUTES : 0;
    for (size_t i = 0; i < filter->part_count; i++)
        needs |= fleet_filter_needs(filter->parts[i]);
    return needs;
}

/* The part that every match must meet: a list of values of this field. NULL: there is none. */
static const struct fleet_filter *required(const struct fleet_filter *filter, enum filter_field field) {
    if (filter->kind == FILTER_TEST && filter->field == field && (filter->op == FILTER_EQUAL || filter->op == FILTER_IN))
        return filter;
    for (size_t i = 0; filter->kind == FILTER_AND && i < filter->part_count; i++) {
        const struct fleet_filter *found = required(filter->parts[i], field);

        if (found)
            return found;
    }
    return NULL;
}

bool fleet_filter_ids(const struct fleet_filter *filter, const char *const **ret_ids, size_t *ret_count) {
    const struct fleet_filter *test = required(filter, FILTER_ID);

    if (!test)
        return false;
    *ret_ids = test->ids;
    *ret_count = test->value_count;
    return true;
}

const char *fleet_filter_product(const struct fleet_filter *filter) {
    const struct fleet_filter *test = required(filter, FILTER_PRODUCT);

    return test && test->value_count == 1 ? test->values[0].text : NULL;
}

/* ---- the text ---- */

bool filter_is_word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != '\0' && strchr("._:*?+/@-", c) != NULL);
}

bool filter_is_word(const char *text) {
    static const char *const keywords[] = {"and", "or", "not", "in"};
    size_t len = 0;

    while (filter_is_word_char(text[len]))
        len++;
    if (len == 0 || text[len] != '\0')
        return false;
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (strcmp(text, keywords[i]) == 0)
            return false;
    return true;
}

void fleet_filter_quote(const char *value, struct buf *out) {
    if (filter_is_word(value)) {
        buf_text(out, value);
        return;
    }
    buf_byte(out, '"');
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            buf_byte(out, '\\');
        buf_byte(out, *c);
    }
    buf_byte(out, '"');
}

static void print_test(const struct fleet_filter *test, struct buf *out) {
    buf_text(out, filter_fields[test->field].name);
    if (test->field == FILTER_ATTRIBUTE)
        fleet_filter_quote(test->attribute, out);
    buf_printf(out, " %s ", filter_operators[test->op]);
    if (test->op == FILTER_IN)
        buf_byte(out, '(');
    for (size_t i = 0; i < test->value_count; i++) {
        buf_text(out, i > 0 ? ", " : "");
        fleet_filter_quote(test->values[i].text, out);
    }
    if (test->op == FILTER_IN)
        buf_byte(out, ')');
}

static void print_part(const struct fleet_filter *part, bool in_parentheses, struct buf *out) {
    if (in_parentheses)
        buf_byte(out, '(');
    fleet_filter_print(part, out);
    if (in_parentheses)
        buf_byte(out, ')');
}

void fleet_filter_print(const struct fleet_filter *filter, struct buf *out) {
    switch (filter->kind) {
    case FILTER_EVERYTHING:
        break;
    case FILTER_AND:
    case FILTER_OR:
        for (size_t i = 0; i < filter->part_count; i++) {
            buf_text(out, i == 0 ? "" : filter->kind == FILTER_AND ? " and " : " or ");
            print_part(filter->parts[i], filter->kind == FILTER_AND && filter->parts[i]->kind == FILTER_OR, out);
        }
        break;
    case FILTER_NOT:
        buf_text(out, "not ");
        print_part(filter->parts[0], filter->parts[0]->kind == FILTER_AND || filter->parts[0]->kind == FILTER_OR, out);
        break;
    case FILTER_TEST:
        print_test(filter, out);
        break;
    }
}
