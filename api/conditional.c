#include "api/conditional.h"

#include <string.h>

#include "common/clock.h"

static const char *skip_space(const char *text) {
    while (*text == ' ' || *text == '\t')
        text++;
    return text;
}

/* One entity-tag at *text; *ret_opaque points at its opening quote. */
static bool tag_next(const char **text, bool *ret_weak, const char **ret_opaque, size_t *ret_len) {
    const char *p = *text;
    *ret_weak = p[0] == 'W' && p[1] == '/';
    if (*ret_weak)
        p += 2;
    if (*p != '"')
        return false;
    const char *end = p + 1;
    while ((unsigned char)*end == 0x21 || ((unsigned char)*end >= 0x23 && (unsigned char)*end != 0x7f))
        end++;
    if (*end != '"')
        return false;
    *ret_opaque = p;
    *ret_len = (size_t)(end + 1 - p);
    *text = end + 1;
    return true;
}

bool api_conditional_list_has(const char *list, const char *etag, bool weak) {
    const char *text = skip_space(list);
    if (text[0] == '*' && *skip_space(text + 1) == '\0')
        return true;
    size_t etag_len = strlen(etag);
    bool found = false;
    for (;;) {
        text = skip_space(text);
        if (*text == ',') {
            text++;
            continue;
        }
        if (*text == '\0')
            return found;
        bool tag_weak;
        const char *opaque;
        size_t len;
        if (!tag_next(&text, &tag_weak, &opaque, &len))
            return false;
        if ((weak || !tag_weak) && len == etag_len && memcmp(opaque, etag, len) == 0)
            found = true;
        text = skip_space(text);
        if (*text != ',' && *text != '\0')
            return false;
    }
}

enum api_condition api_conditional_decide(const struct api_conditions *conditions, const struct api_validators *validators) {
    int64_t time;
    if (conditions->if_match != NULL) {
        if (!api_conditional_list_has(conditions->if_match, validators->etag, false))
            return API_CONDITION_FAILED;
    } else if (conditions->if_unmodified_since != NULL && validators->modified_at != 0 && clock_parse_http(conditions->if_unmodified_since, &time) &&
               validators->modified_at > time) {
        return API_CONDITION_FAILED;
    }
    if (conditions->if_none_match != NULL) {
        if (api_conditional_list_has(conditions->if_none_match, validators->etag, true))
            return API_CONDITION_NOT_MODIFIED;
    } else if (conditions->if_modified_since != NULL && validators->modified_at != 0 && clock_parse_http(conditions->if_modified_since, &time) &&
               validators->modified_at <= time) {
        return API_CONDITION_NOT_MODIFIED;
    }
    return API_CONDITION_PASS;
}

bool api_conditional_range(const char *if_range, const struct api_validators *validators) {
    if (if_range == NULL)
        return true;
    const char *text = skip_space(if_range);
    if (*text == '"' || (text[0] == 'W' && text[1] == '/')) {
        bool weak;
        const char *opaque;
        size_t len;
        return tag_next(&text, &weak, &opaque, &len) && !weak && *skip_space(text) == '\0' && len == strlen(validators->etag) &&
               memcmp(opaque, validators->etag, len) == 0;
    }
    int64_t time;
    return validators->modified_at != 0 && clock_parse_http(text, &time) && time == validators->modified_at;
}
