#include "server/pace.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "common/siphash.h"
#include "common/text.h"
#include "db/db.h"
#include "server/bucket.h"

enum { CHAINS = 4096 };

struct pace_device {
    struct pace_device *next;
    struct bucket bucket;
    size_t users;
    char id[DB_DEVICE_ID_SIZE];
};

struct pace {
    pthread_mutex_t lock;
    struct bucket fleet;
    int64_t device_rate;
    struct siphash_key key;
    size_t count;
    struct pace_device *chains[CHAINS];
};

struct pace *pace_new(int64_t fleet_rate, int64_t device_rate) {
    struct pace *pace = calloc(1, sizeof(*pace));
    if (pace) {
        pthread_mutex_init(&pace->lock, NULL);
        random_bytes(&pace->key, sizeof(pace->key));
        pace->fleet.bytes_per_s = fleet_rate;
        pace->device_rate = device_rate;
    }
    return pace;
}

void pace_free(struct pace *pace) {
    for (size_t i = 0; pace && i < CHAINS; i++) {
        while (pace->chains[i]) {
            struct pace_device *device = pace->chains[i];
            pace->chains[i] = device->next;
            free(device);
        }
    }
    if (pace)
        pthread_mutex_destroy(&pace->lock);
    free(pace);
}

/* Forgets those on the way that nobody uses and whose past is over, so that a chain holds no more than what works now and a moment ago. */
static struct pace_device *find(struct pace *pace, struct pace_device **at, const char *device_id, int64_t now_ns) {
    struct pace_device *found = NULL;
    while (*at) {
        struct pace_device *device = *at;
        bool wanted = strcmp(device->id, device_id) == 0;
        if (!wanted && device->users == 0 && bucket_is_idle(&device->bucket, now_ns)) {
            *at = device->next;
            pace->count--;
            free(device);
            continue;
        }
        found = wanted ? device : found;
        at = &device->next;
    }
    return found;
}

struct pace_device *pace_enter(struct pace *pace, const char *device_id, int64_t now_ns) {
    struct pace_device **chain = &pace->chains[siphash_text(pace->key, device_id) % CHAINS];
    pthread_mutex_lock(&pace->lock);
    struct pace_device *device = find(pace, chain, device_id, now_ns);
    if (!device && (device = calloc(1, sizeof(*device))) != NULL) {
        bool fits = text_copy(device->id, sizeof(device->id), device_id);
        (void)fits; /* an id that does not is none of the registry's; it shares the bucket of "" */
        device->bucket.bytes_per_s = pace->device_rate;
        device->next = *chain;
        *chain = device;
        pace->count++;
    }
    if (device)
        device->users++;
    pthread_mutex_unlock(&pace->lock);
    return device;
}

void pace_leave(struct pace *pace, struct pace_device *device, size_t unsent) {
    pthread_mutex_lock(&pace->lock);
    device->users--;
    bucket_return(&pace->fleet, unsent);
    bucket_return(&device->bucket, unsent);
    pthread_mutex_unlock(&pace->lock);
}

int64_t pace_reserve(struct pace *pace, struct pace_device *device, size_t len, int64_t now_ns) {
    pthread_mutex_lock(&pace->lock);
    int64_t fleet = bucket_reserve(&pace->fleet, len, now_ns);
    int64_t own = bucket_reserve(&device->bucket, len, now_ns);
    pthread_mutex_unlock(&pace->lock);
    return fleet > own ? fleet : own;
}

size_t pace_piece(const struct pace *pace, size_t record, size_t max) {
    int64_t fleet = pace->fleet.bytes_per_s, rate = pace->device_rate > 0 ? pace->device_rate : fleet;
    rate = fleet > 0 && fleet < rate ? fleet : rate;
    size_t piece = (size_t)(rate / 50) / record * record;
    return piece < record ? record : piece > max ? max : piece;
}

size_t pace_count(struct pace *pace) {
    pthread_mutex_lock(&pace->lock);
    size_t count = pace->count;
    pthread_mutex_unlock(&pace->lock);
    return count;
}
