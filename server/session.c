#include "server/session.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/ssl.h>

enum { WAYS = 8, SHARDS = 16 };

struct session_store {
    pthread_mutex_t locks[SHARDS];
    atomic_uint_fast32_t generation;
    size_t sets; /* a power of two, at least SHARDS */
    struct session_record records[];
};

struct session_store *session_store_new(size_t records) {
    size_t sets = SHARDS;
    while (sets * WAYS < records)
        sets *= 2;
    struct session_store *store = calloc(1, sizeof(*store) + sets * WAYS * sizeof(struct session_record));
    if (!store)
        return NULL;
    store->sets = sets;
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&store->locks[i], NULL);
    return store;
}

void session_store_free(struct session_store *store) {
    if (!store)
        return;
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_destroy(&store->locks[i]);
    OPENSSL_cleanse(store->records, store->sets * WAYS * sizeof(struct session_record));
    free(store);
}

uint32_t session_store_generation(const struct session_store *store) {
    return (uint32_t)atomic_load(&store->generation);
}

/* Ids are random: their bytes are the hash. */
static size_t set_of(const struct session_store *store, const uint8_t *id) {
    uint64_t bits;
    memcpy(&bits, id, sizeof(bits));
    return (size_t)(bits & (store->sets - 1));
}

static void wipe(struct session_record *record) {
    OPENSSL_cleanse(record, sizeof(*record));
}

static int64_t ends_at(const struct session_record *record) {
    int64_t oldest = (int64_t)record->verified_at + SESSION_MAX_AGE_S;
    return oldest < record->not_after ? oldest : record->not_after;
}

/* The place for a new record: a free one, else one past its time, else the oldest. */
static struct session_record *victim_of(struct session_record *set, int64_t now) {
    struct session_record *victim = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (!set[i].used || ends_at(&set[i]) <= now)
            return &set[i];
        victim = set[i].created_at < victim->created_at ? &set[i] : victim;
    }
    return victim;
}

bool session_store_put(struct session_store *store, const struct session_record *record, int64_t now) {
    size_t set = set_of(store, record->id);
    pthread_mutex_lock(&store->locks[set % SHARDS]);
    bool ok = record->generation == session_store_generation(store) && ends_at(record) > now;
    if (ok) {
        struct session_record *place = victim_of(&store->records[set * WAYS], now);
        *place = *record;
        place->used = 1;
    }
    pthread_mutex_unlock(&store->locks[set % SHARDS]);
    return ok;
}

bool session_store_take(struct session_store *store, const uint8_t id[SESSION_ID_SIZE], int64_t now, struct session_record *ret_record) {
    size_t set = set_of(store, id);
    bool found = false;
    pthread_mutex_lock(&store->locks[set % SHARDS]);
    for (size_t i = 0; i < WAYS && !found; i++) {
        struct session_record *record = &store->records[set * WAYS + i];
        if (record->used && CRYPTO_memcmp(record->id, id, SESSION_ID_SIZE) == 0) {
            *ret_record = *record;
            found = true;
            wipe(record);
        }
    }
    pthread_mutex_unlock(&store->locks[set % SHARDS]);
    return found && ret_record->generation == session_store_generation(store) && ends_at(ret_record) > now &&
           (int64_t)ret_record->created_at <= now + 300;
}

/* Wipes what is chosen; device_id NULL: everything. */
static void sweep(struct session_store *store, const char *device_id) {
    for (size_t set = 0; set < store->sets; set++) {
        pthread_mutex_lock(&store->locks[set % SHARDS]);
        for (size_t i = 0; i < WAYS; i++) {
            struct session_record *record = &store->records[set * WAYS + i];
            if (record->used && (!device_id || strcmp(record->device_id, device_id) == 0))
                wipe(record);
        }
        pthread_mutex_unlock(&store->locks[set % SHARDS]);
    }
}

void session_store_drop_device(struct session_store *store, const char *device_id) {
    sweep(store, device_id);
}

void session_store_flush(struct session_store *store) {
    atomic_fetch_add(&store->generation, 1);
    sweep(store, NULL);
}

static uint32_t to_u32(int64_t seconds) {
    return seconds < 0 ? 0 : seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
}

bool session_pack(const SSL_SESSION *session, const struct api_identity *identity, int64_t now, int64_t verified_at, uint32_t generation,
                  struct session_record *ret_record) {
    struct session_record record = {.created_at = to_u32(now), .verified_at = to_u32(verified_at), .not_after = to_u32(identity->not_after)};
    unsigned id_len = 0;
    const unsigned char *id = SSL_SESSION_get_id(session, &id_len);
    size_t psk_len = SSL_SESSION_get_master_key(session, NULL, 0);
    const SSL_CIPHER *cipher = SSL_SESSION_get0_cipher(session);
    if (SSL_SESSION_get_protocol_version(session) != TLS1_3_VERSION || id_len < SESSION_ID_SIZE || psk_len == 0 || psk_len > SESSION_PSK_SIZE ||
        !cipher || identity->id[0] == '\0')
        return false;
    memcpy(record.id, id, SESSION_ID_SIZE);
    record.psk_len = (uint8_t)SSL_SESSION_get_master_key(session, record.psk, sizeof(record.psk));
    record.cipher = SSL_CIPHER_get_protocol_id(cipher);
    record.generation = generation;
    memcpy(record.spki_sha256, identity->spki_sha256, sizeof(record.spki_sha256));
    record.lineage = identity->lineage;
    memcpy(record.device_id, identity->id, sizeof(record.device_id));
    *ret_record = record;
    wipe(&record);
    return true;
}

/* OpenSSL 3.4 has a setter of its own for times after 2038. */
static void set_time(SSL_SESSION *session, uint32_t time) {
#if OPENSSL_VERSION_NUMBER >= 0x30400000L
    SSL_SESSION_set_time_ex(session, (time_t)time);
#else
    SSL_SESSION_set_time(session, (long)time);
#endif
}

SSL_SESSION *session_unpack(const struct session_record *record, SSL *ssl, const uint8_t *full_id, size_t full_id_len, const uint8_t *id_context,
                            size_t id_context_len) {
    const unsigned char wire_cipher[2] = {(unsigned char)(record->cipher >> 8), (unsigned char)(record->cipher & 0xff)};
    const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, wire_cipher);
    SSL_SESSION *session = SSL_SESSION_new();
    int64_t left = ends_at(record) - record->created_at;
    if (session && cipher && SSL_SESSION_set1_id(session, full_id, (unsigned)full_id_len) == 1 &&
        SSL_SESSION_set1_id_context(session, id_context, (unsigned)id_context_len) == 1 && SSL_SESSION_set_cipher(session, cipher) == 1 &&
        SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1 && SSL_SESSION_set1_master_key(session, record->psk, record->psk_len) == 1) {
        set_time(session, record->created_at);
        SSL_SESSION_set_timeout(session, left > 0 ? (long)left : 0);
        return session;
    }
    SSL_SESSION_free(session);
    return NULL;
}
