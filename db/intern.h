/* Texts that many devices share (product, hardware, version), each stored once and counted. Not thread-safe: the registry's lock guards it. */
#ifndef PAWL_DB_INTERN_H
#define PAWL_DB_INTERN_H

#include "common/err.h"

struct db_intern;

struct db_intern *db_intern_new(void);
void db_intern_free(struct db_intern *intern);

/* The number of this text, counted once more. 0 for NULL and "". ERR_NO_MEMORY. */
bool db_intern_add(struct db_intern *intern, const char *text, uint32_t *ret_number, struct err *err) MUST_USE;

/* One user less; the last one frees the text. 0 is fine. */
void db_intern_drop(struct db_intern *intern, uint32_t number);

const char *db_intern_text(const struct db_intern *intern, uint32_t number); /* "" for 0; valid until dropped */
size_t db_intern_count(const struct db_intern *intern);

#endif
