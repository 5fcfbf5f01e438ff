#include "api/images.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/file.h"

/* One mapped file. Kept in the list, most recently used first; freed when it is dropped from the list and nobody uses it. */
struct mapping {
    struct mapping *next;
    struct api_images *images;
    char sha256[DB_SHA256_SIZE];
    dev_t device;
    ino_t inode;
    struct timespec modified;
    void *data;
    size_t len;
    size_t users;
    bool listed;
};

struct api_images {
    struct db *db;
    pthread_mutex_t lock;
    struct mapping *first;
    size_t count;
};

bool api_images_new(struct db *db, struct api_images **ret_images, struct err *err) {
    struct api_images *images = calloc(1, sizeof(*images));
    if (images == NULL)
        return err_no_memory(err);
    images->db = db;
    pthread_mutex_init(&images->lock, NULL);
    *ret_images = images;
    return true;
}

static void mapping_free(struct mapping *mapping) {
    munmap(mapping->data, mapping->len);
    free(mapping);
}

/* With the lock held. */
static void unlist(struct api_images *images, struct mapping **place) {
    struct mapping *mapping = *place;
    *place = mapping->next;
    mapping->listed = false;
    images->count--;
    if (mapping->users == 0)
        mapping_free(mapping);
}

void api_images_free(struct api_images *images) {
    if (images == NULL)
        return;
    while (images->first != NULL)
        unlist(images, &images->first);
    pthread_mutex_destroy(&images->lock);
    free(images);
}

static bool same_file(const struct mapping *mapping, const struct stat *status) {
    return mapping->device == status->st_dev && mapping->inode == status->st_ino && mapping->len == (size_t)status->st_size &&
           mapping->modified.tv_sec == status->st_mtim.tv_sec && mapping->modified.tv_nsec == status->st_mtim.tv_nsec;
}

/* With the lock held: the mapping of exactly this file, moved to the front and in use; one of an older file of that name is dropped. */
static struct mapping *find(struct api_images *images, const char *sha256, const struct stat *status) {
    for (struct mapping **place = &images->first; *place != NULL; place = &(*place)->next) {
        struct mapping *mapping = *place;
        if (strcmp(mapping->sha256, sha256) != 0)
            continue;
        if (!same_file(mapping, status)) {
            unlist(images, place);
            return NULL;
        }
        *place = mapping->next;
        mapping->next = images->first;
        images->first = mapping;
        mapping->users++;
        return mapping;
    }
    return NULL;
}

/* With the lock held: beyond the ceiling the least recently used one that nobody uses goes. */
static void trim(struct api_images *images) {
    if (images->count <= API_IMAGES_KEPT)
        return;
    struct mapping **victim = NULL;
    for (struct mapping **place = &images->first; *place != NULL; place = &(*place)->next)
        if ((*place)->users == 0)
            victim = place;
    if (victim != NULL)
        unlist(images, victim);
}

static struct mapping *map(struct api_images *images, const char *sha256, int fd, const struct stat *status, struct err *err) {
    struct mapping *mapping = calloc(1, sizeof(*mapping));
    if (mapping == NULL) {
        err_no_memory(err);
        return NULL;
    }
    mapping->len = (size_t)status->st_size;
    mapping->data = mmap(NULL, mapping->len, PROT_READ, MAP_SHARED, fd, 0);
    if (mapping->data == MAP_FAILED) {
        err_errno(err, "image %.16s… cannot be mapped", sha256);
        free(mapping);
        return NULL;
    }
    mapping->images = images;
    memcpy(mapping->sha256, sha256, sizeof(mapping->sha256));
    mapping->device = status->st_dev;
    mapping->inode = status->st_ino;
    mapping->modified = status->st_mtim;
    mapping->users = 1;
    mapping->listed = true;
    mapping->next = images->first;
    images->first = mapping;
    images->count++;
    return mapping;
}

bool api_images_map(struct api_images *images, const char *sha256, int64_t length, const void **ret_data, void **ret_hold, struct err *err) {
    int fd CLEANUP(file_close) = -1;
    int64_t size;
    struct stat status;
    if (!db_image_open(images->db, sha256, &fd, &size, err))
        return false;
    if (fstat(fd, &status) != 0)
        return err_errno(err, "image %.16s…", sha256);
    if (length < 1 || status.st_size != length)
        return err_set(err, ERR_IO, "image %.16s… has %lld bytes where %lld are expected", sha256, (long long)status.st_size, (long long)length);

    pthread_mutex_lock(&images->lock);
    struct mapping *mapping = find(images, sha256, &status);
    if (mapping == NULL)
        mapping = map(images, sha256, fd, &status, err);
    trim(images);
    pthread_mutex_unlock(&images->lock);
    if (mapping == NULL)
        return false;
    *ret_data = mapping->data;
    *ret_hold = mapping;
    return true;
}

void api_images_release(void *hold) {
    struct mapping *mapping = hold;
    struct api_images *images = mapping->images;
    pthread_mutex_lock(&images->lock);
    mapping->users--;
    bool last = mapping->users == 0 && !mapping->listed;
    pthread_mutex_unlock(&images->lock);
    if (last)
        mapping_free(mapping);
}
