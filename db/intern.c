#include "db/intern.h"

#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "common/siphash.h"

/* A slot is free when text is NULL; free slots are chained by `next`, used ones with others of their bucket. Slot 0 is "". */
struct slot {
    char *text;
    uint32_t users;
    uint32_t next;
};

struct db_intern {
    struct siphash_key key;
    struct slot *slots;
    uint32_t slot_count; /* made, free ones included */
    uint32_t slot_capacity;
    uint32_t free_slot;
    uint32_t used;
    uint32_t *buckets; /* first slot; 0: none */
    uint32_t bucket_count;
};

struct db_intern *db_intern_new(void) {
    struct db_intern *intern = calloc(1, sizeof *intern);

    if (!intern)
        return NULL;
    random_bytes(&intern->key, sizeof intern->key);
    intern->slot_capacity = 64;
    intern->slot_count = 1;
    intern->bucket_count = 64;
    intern->slots = calloc(intern->slot_capacity, sizeof *intern->slots);
    intern->buckets = calloc(intern->bucket_count, sizeof *intern->buckets);
    if (intern->slots && intern->buckets)
        return intern;
    db_intern_free(intern);
    return NULL;
}

void db_intern_free(struct db_intern *intern) {
    if (!intern)
        return;
    for (uint32_t i = 0; intern->slots && i < intern->slot_count; i++)
        free(intern->slots[i].text);
    free(intern->slots);
    free(intern->buckets);
    free(intern);
}

static uint32_t *bucket_of(const struct db_intern *intern, const char *text) {
    return &intern->buckets[siphash_text(intern->key, text) & (intern->bucket_count - 1)];
}

static bool grow_buckets(struct db_intern *intern) {
    uint32_t count = intern->bucket_count * 2;
    uint32_t *buckets = calloc(count, sizeof *buckets);

    if (!buckets)
        return false;
    free(intern->buckets);
    intern->buckets = buckets;
    intern->bucket_count = count;
    for (uint32_t i = 1; i < intern->slot_count; i++) {
        if (intern->slots[i].text) {
            uint32_t *bucket = bucket_of(intern, intern->slots[i].text);

            intern->slots[i].next = *bucket;
            *bucket = i;
        }
    }
    return true;
}

/* A free slot's number, taken off the chain; 0: no memory. */
static uint32_t take_slot(struct db_intern *intern) {
    uint32_t number = intern->free_slot;

    if (number) {
        intern->free_slot = intern->slots[number].next;
        return number;
    }
    if (intern->slot_count == intern->slot_capacity) {
        struct slot *slots = reallocarray(intern->slots, (size_t)intern->slot_capacity * 2, sizeof *slots);

        if (!slots)
            return 0;
        intern->slots = slots;
        intern->slot_capacity *= 2;
    }
    number = intern->slot_count++;
    intern->slots[number] = (struct slot){.text = NULL};
    return number;
}

bool db_intern_add(struct db_intern *intern, const char *text, uint32_t *ret_number, struct err *err) {
    uint32_t *bucket;
    uint32_t number;
    char *copy;

    if (!text || !text[0]) {
        *ret_number = 0;
        return true;
    }
    for (number = *bucket_of(intern, text); number; number = intern->slots[number].next) {
        if (strcmp(intern->slots[number].text, text) == 0) {
            intern->slots[number].users++;
            *ret_number = number;
            return true;
        }
    }
    if (intern->used >= intern->bucket_count && !grow_buckets(intern))
        return err_no_memory(err);
    copy = strdup(text);
    number = copy ? take_slot(intern) : 0;
    if (!number) {
        free(copy);
        return err_no_memory(err);
    }
    bucket = bucket_of(intern, text);
    intern->slots[number] = (struct slot){.text = copy, .users = 1, .next = *bucket};
    *bucket = number;
    intern->used++;
    *ret_number = number;
    return true;
}

void db_intern_drop(struct db_intern *intern, uint32_t number) {
    uint32_t *link;

    if (number == 0 || --intern->slots[number].users > 0)
        return;
    for (link = bucket_of(intern, intern->slots[number].text); *link != number; link = &intern->slots[*link].next) {
    }
    *link = intern->slots[number].next;
    free(intern->slots[number].text);
    intern->slots[number] = (struct slot){.text = NULL, .next = intern->free_slot};
    intern->free_slot = number;
    intern->used--;
}

const char *db_intern_text(const struct db_intern *intern, uint32_t number) {
    return number ? intern->slots[number].text : "";
}

size_t db_intern_count(const struct db_intern *intern) {
    return intern->used;
}
