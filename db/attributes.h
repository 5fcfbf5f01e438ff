/* A device's attributes: in their column the text of a JSON object of texts. */
#ifndef PAWL_DB_ATTRIBUTES_H
#define PAWL_DB_ATTRIBUTES_H

#include "common/json.h"
#include "db/db.h"
#include "fleet/filter.h"

enum { DB_ATTRIBUTES_MAX = 8192 }; /* bytes of the text */

/* None when there is no such device. */
bool db_attributes_get(struct db_conn *conn, const char *device, struct arena *arena, struct json_map *ret_attributes, struct err *err) MUST_USE;

/* What a change (RFC 7396: NULL takes a member out) makes of them. *ret_text: for the column. ERR_INVALID with field "attributes": longer than
 * DB_ATTRIBUTES_MAX. *ret_changed: it is another than before. */
bool db_attributes_merge(const struct json_map *before, const struct json_map *change, struct arena *arena, const char **ret_text, bool *ret_changed,
                         struct err *err) MUST_USE;

/* As a filter looks at them; text: of the column. */
bool db_attributes_show(const char *text, struct arena *arena, struct fleet_filter_subject *subject, struct err *err) MUST_USE;

#endif
