#include "server/limits.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/random.h"
#include "common/siphash.h"

/* Open addressing with linear probing; a key is its 64-bit hash under a secret key, so that nobody can aim at another's count. */
struct entry {
    uint64_t hash; /* 0: free */
    int64_t count;
};

struct limits {
    pthread_mutex_t lock;
    struct siphash_key key;
    size_t mask;
    size_t used;
    size_t max_keys;
    struct entry entries[];
};

struct limits *limits_new(size_t max_keys) {
    size_t slots = 64;
    while (slots < max_keys * 2)
        slots *= 2;
    struct limits *limits = calloc(1, sizeof(*limits) + slots * sizeof(struct entry));
    if (limits) {
        pthread_mutex_init(&limits->lock, NULL);
        random_bytes(&limits->key, sizeof(limits->key));
        limits->mask = slots - 1;
        limits->max_keys = max_keys;
    }
    return limits;
}

void limits_free(struct limits *limits) {
    if (limits) {
        pthread_mutex_destroy(&limits->lock);
        free(limits);
    }
}

static uint64_t hash_of(const struct limits *limits, const void *key, size_t len) {
    return siphash(limits->key, key, len) | 1U;
}

static size_t find(const struct limits *limits, uint64_t hash) {
    size_t i = (hash >> 1) & limits->mask;
    while (limits->entries[i].hash && limits->entries[i].hash != hash)
        i = (i + 1) & limits->mask;
    return i;
}

/* Takes an entry out and moves up those that probing would no longer find. */
static void forget(struct limits *limits, size_t hole) {
    limits->entries[hole] = (struct entry){0};
    limits->used--;
    for (size_t i = (hole + 1) & limits->mask; limits->entries[i].hash; i = (i + 1) & limits->mask) {
        struct entry moved = limits->entries[i];
        limits->entries[i] = (struct entry){0};
        limits->entries[find(limits, moved.hash)] = moved;
    }
}

bool limits_enter(struct limits *limits, const void *key, size_t len, int64_t max) {
    uint64_t hash = hash_of(limits, key, len);
    pthread_mutex_lock(&limits->lock);
    struct entry *entry = &limits->entries[find(limits, hash)];
    bool ok = entry->count < max && (entry->hash || limits->used < limits->max_keys);
    if (ok) {
        limits->used += entry->hash == 0;
        entry->hash = hash;
        entry->count++;
    }
    pthread_mutex_unlock(&limits->lock);
    return ok;
}

void limits_leave(struct limits *limits, const void *key, size_t len) {
    uint64_t hash = hash_of(limits, key, len);
    pthread_mutex_lock(&limits->lock);
    size_t i = find(limits, hash);
    if (limits->entries[i].hash && --limits->entries[i].count == 0)
        forget(limits, i);
    pthread_mutex_unlock(&limits->lock);
}
