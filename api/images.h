/* Images mapped into memory, shared by all requests that serve them: a request for a range costs no mmap. */
#ifndef PAWL_API_IMAGES_H
#define PAWL_API_IMAGES_H

#include "db/image.h"

struct api_images;

enum { API_IMAGES_KEPT = 32 }; /* mappings kept while nobody uses them */

bool api_images_new(struct db *db, struct api_images **ret_images, struct err *err) MUST_USE;
void api_images_free(struct api_images *images); /* when nothing is in use any more; NULL is fine */

/* The mapped file; give *ret_hold to api_images_release() once. The file is looked at on every call: ERR_IO when it is missing, unreadable or not
 * of this length. Any thread. */
bool api_images_map(struct api_images *images, const char *sha256, int64_t length, const void **ret_data, void **ret_hold, struct err *err) MUST_USE;
void api_images_release(void *hold);

#endif
