/* How a parsed filter looks inside: shared by filter.c (asks, prints) and filter_parse.c (reads). */
#ifndef PAWL_FLEET_FILTER_TREE_H
#define PAWL_FLEET_FILTER_TREE_H

#include "fleet/filter.h"

enum filter_kind {
    FILTER_EVERYTHING, /* the empty filter; only at the root */
    FILTER_AND,        /* of two parts or more, none of them an "and" */
    FILTER_OR,
    FILTER_NOT, /* of one part */
    FILTER_TEST,
};

enum filter_field {
    FILTER_ID,
    FILTER_PRODUCT,
    FILTER_HARDWARE,
    FILTER_VERSION,
    FILTER_SEQUENCE,
    FILTER_STATE,
    FILTER_LAST_SEEN,
    FILTER_TAG,
    FILTER_ATTRIBUTE,
    FILTER_FIELD_COUNT
};

enum filter_operator {
    FILTER_EQUAL,
    FILTER_NOT_EQUAL,
    FILTER_LIKE,
    FILTER_LESS,
    FILTER_LESS_EQUAL,
    FILTER_GREATER,
    FILTER_GREATER_EQUAL,
    FILTER_IN,
    FILTER_OPERATOR_COUNT
};

/* What a value is: of sequence a number, of last_seen a time, of state a name of the table. */
enum filter_type { FILTER_TEXT, FILTER_NUMBER, FILTER_TIME, FILTER_STATE_NAME };

struct filter_value {
    const char *text; /* canonical */
    int64_t number;   /* also the time, or the state; of an attribute only with an ordering operator */
};

struct fleet_filter {
    enum filter_kind kind;

    const struct fleet_filter **parts;
    size_t part_count;

    enum filter_field field;
    const char *attribute; /* the name, of FILTER_ATTRIBUTE */
    enum filter_operator op;
    const char **ids; /* the texts of values, for fleet_filter_ids(); only of FILTER_ID */
    struct filter_value *values;
    size_t value_count;
};

struct filter_field_row {
    const char *name;
    enum filter_type type;
    unsigned operators; /* mask of 1 << enum filter_operator */
};

extern const struct filter_field_row filter_fields[FILTER_FIELD_COUNT];
extern const char *const filter_operators[FILTER_OPERATOR_COUNT]; /* "==" … "in" */

/* Can the value, or the name of an attribute, stand without quotes? */
bool filter_is_word(const char *text);
bool filter_is_word_char(char c);

#endif
