/* For tests named test_<room>_memory: the nth allocation of our own code fails. The build wraps malloc, calloc and strdup for them. */
#ifndef PAWL_TESTS_UNIT_MEMORY_FAULT_H
#define PAWL_TESTS_UNIT_MEMORY_FAULT_H

#include <stdbool.h>
#include <stddef.h>

static int fault_countdown; /* 0: none fails any more */

static bool fault_strikes(void) {
    return fault_countdown > 0 && --fault_countdown == 0;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size) {
    return fault_strikes() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size) {
    return fault_strikes() ? NULL : __real_calloc(count, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text) {
    return fault_strikes() ? NULL : __real_strdup(text);
}

#endif
