/* Memory that is given out piece by piece and freed all at once: one arena a request, or one a command. */
#ifndef PAWL_COMMON_ARENA_H
#define PAWL_COMMON_ARENA_H

#include <stdarg.h>

#include "common/defs.h"

struct arena_block;

struct arena {
    struct arena_block *head;
    size_t used_bytes;
    size_t max_bytes; /* ceiling over all blocks; past it every allocation is NULL */
};

void arena_init(struct arena *arena, size_t max_bytes);

/* Frees everything; the arena can be used again. Fits CLEANUP(arena_clear). */
void arena_clear(struct arena *arena);

/* Zeroed, aligned for any type; NULL at the ceiling or when the machine has no memory. */
void *arena_alloc(struct arena *arena, size_t size) MUST_USE;
void *arena_array(struct arena *arena, size_t count, size_t size) MUST_USE; /* NULL also when count × size overflows */
void *arena_memdup(struct arena *arena, const void *data, size_t size) MUST_USE;
char *arena_strdup(struct arena *arena, const char *text) MUST_USE;
char *arena_strndup(struct arena *arena, const char *text, size_t len) MUST_USE; /* result is NUL-terminated */
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3) MUST_USE;

#endif
