/* TLS sessions that can be resumed: a fixed table in memory, each record spent by its first use. Thread-safe.
 *
 * A record stands for a certificate that was verified: it names the device, its key, until when, and when the certificate was last really seen.
 * Nothing in it comes from the client, who holds only the record's random id. */
#ifndef PAWL_SERVER_SESSION_H
#define PAWL_SERVER_SESSION_H

#include "api/api.h"

enum { SESSION_ID_SIZE = 16, SESSION_PSK_SIZE = 48, SESSION_MAX_AGE_S = 24 * 3600 };

struct session_record {
    uint8_t id[SESSION_ID_SIZE]; /* the first bytes of the TLS session id, which is random */
    uint8_t psk[SESSION_PSK_SIZE];
    uint8_t psk_len;
    uint8_t used;         /* 0: a free place in the table */
    uint16_t cipher;      /* IANA number */
    uint32_t created_at;  /* UTC seconds, as the next three */
    uint32_t verified_at; /* of the handshake that showed the certificate; inherited by what is resumed from this */
    uint32_t not_after;   /* of the certificate; later than 2106 is 2106 */
    uint32_t generation;  /* session_store_flush() makes older ones void */
    uint8_t spki_sha256[32];
    struct certs_lineage lineage; /* of the certificate */
    char device_id[DB_DEVICE_ID_SIZE];
};

struct session_store;
struct ssl_st;
struct ssl_session_st;
struct ssl_ctx_st;

/* NULL: no memory. The table is sets of eight: a full set forgets its oldest record. */
struct session_store *session_store_new(size_t records) MUST_USE;
void session_store_free(struct session_store *store);

/* Of now on; what was made under an earlier number is refused and cannot be put any more. */
uint32_t session_store_generation(const struct session_store *store);

/* False: not stored (void generation, or past its time already). */
bool session_store_put(struct session_store *store, const struct session_record *record, int64_t now);

/* Takes the record out, so that nobody gets it again. False: none, or past min(not_after, verified_at + 24 h). */
bool session_store_take(struct session_store *store, const uint8_t id[SESSION_ID_SIZE], int64_t now, struct session_record *ret_record) MUST_USE;

void session_store_drop_device(struct session_store *store, const char *device_id);
void session_store_flush(struct session_store *store);

/* Between OpenSSL's object and ours; TLS 1.3 only, because OpenSSL's setters cannot express a TLS 1.2 session. */
bool session_pack(const struct ssl_session_st *session, const struct api_identity *identity, int64_t now, int64_t verified_at, uint32_t generation,
                  struct session_record *ret_record) MUST_USE;
struct ssl_session_st *session_unpack(const struct session_record *record, struct ssl_st *ssl, const uint8_t *full_id, size_t full_id_len,
                                      const uint8_t *id_context, size_t id_context_len) MUST_USE;

#endif
