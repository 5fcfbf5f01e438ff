#include "server/tls.h"

#include <errno.h>
#include <limits.h>
#include <linux/sock_diag.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "certs/authorities.h"
#include "certs/identity.h"
#include "common/clock.h"

static const char suites_13[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char suites_12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char groups[] = "X25519:P-256:P-384"; /* the last for TLS 1.2 clients with a P-384 certificate */
static const char signatures[] = "ECDSA+SHA256:ECDSA+SHA384:ed25519:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512";

struct tls_context {
    SSL_CTX *ssl_ctx;
    BIO_METHOD *bio;
    struct certs_authorities *authorities; /* owned; NULL: nobody is asked */
    struct tls_environment environment;
    enum api_listener role;
    enum certs_id_source id_source;
    enum certs_id_source factory_id_source;
    uint8_t id_context[8]; /* role and generation: a session is good for the listener and the CA set that made it */
    atomic_int references;
};

/* OpenSSL's own words for what failed, the first of its queue. */
static bool tls_error(struct err *err, enum err_code code, const char *what, const char *file) {
    unsigned long reason = ERR_peek_error();
    char text[160] = "no reason given";
    if (reason)
        ERR_error_string_n(reason, text, sizeof(text));
    ERR_clear_error();
    return err_set(err, code, "%s '%s': %s", what, file, text);
}

/* ---- the BIO: reads from the socket, writes to the gather buffer ---- */

static int bio_read(BIO *bio, char *data, int size) {
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    ssize_t got = recv(tls->fd, data, (size_t)size, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        tls->readable = errno == EINTR;
        BIO_set_retry_read(bio);
        return -1;
    }
    tls->dead |= got < 0;
    return (int)got;
}

static int bio_write(BIO *bio, const char *data, int len) {
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (len < 0 || (size_t)len > TLS_GATHER_SIZE - tls->gather->len)
        return -1;
    memcpy(tls->gather->data + tls->gather->len, data, (size_t)len);
    tls->gather->len += (size_t)len;
    return len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *bio_method_new(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pawl");
    if (method && BIO_meth_set_read(method, bio_read) && BIO_meth_set_write(method, bio_write) && BIO_meth_set_ctrl(method, bio_ctrl))
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* ---- who the peer is ---- */

static struct tls *tls_of(SSL *ssl) {
    return SSL_get_app_data(ssl);
}

static bool admitted(struct tls *tls, const struct api_identity *identity) {
    const struct tls_environment *environment = &tls->context->environment;
    bool ok = !environment->admit || environment->admit(environment->env, identity);
    tls->refused |= !ok;
    return ok;
}

/* The end certificate of a chain that OpenSSL has found good. Returns the X509_V_ code. */
static int check_peer(struct tls *tls, X509_STORE_CTX *store_ctx) {
    struct err err;
    struct certs_identity found;
    X509 *leaf = X509_STORE_CTX_get0_cert(store_ctx);
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store_ctx);
    if (!certs_identity_check_chain(chain, &err))
        return X509_V_ERR_APPLICATION_VERIFICATION;
    bool factory = certs_authorities_is_factory(tls->context->authorities, sk_X509_value(chain, sk_X509_num(chain) - 1));
    if (!certs_identity_from_x509(leaf, factory ? tls->context->factory_id_source : tls->context->id_source, &found, &err))
        return X509_V_ERR_APPLICATION_VERIFICATION;
    struct api_identity identity = {.not_after = found.not_after, .factory = factory, .expired = tls->expired};
    _Static_assert(sizeof(identity.id) == sizeof(found.id), "one size of id");
    memcpy(identity.id, found.id, sizeof(identity.id));
    memcpy(identity.spki_sha256, found.spki_sha256, sizeof(identity.spki_sha256));
    if (!certs_lineage_of(chain, &identity.lineage, &err) || !certs_authorities_admit(tls->context->authorities, &identity.lineage, &err))
        return X509_V_ERR_CERT_REVOKED;
    if (tls->context->role != API_ADMIN && !admitted(tls, &identity))
        return X509_V_ERR_CERT_REVOKED;
    tls->identity = identity;
    tls->verified_at = clock_now();
    tls->proof = TLS_PROOF_CERTIFICATE;
    return X509_V_OK;
}

/* A device whose certificate ran out while it was switched off may still ask for the next one: of all that can be wrong, only that is passed over,
 * only of the device's own certificate, and only where nothing else than enrolment is served. */
static bool is_pardoned(struct tls *tls, X509_STORE_CTX *store_ctx) {
    if (tls->context->role != API_ENROL || X509_STORE_CTX_get_error(store_ctx) != X509_V_ERR_CERT_HAS_EXPIRED ||
        X509_STORE_CTX_get_error_depth(store_ctx) != 0)
        return false;
    tls->expired = true;
    X509_STORE_CTX_set_error(store_ctx, X509_V_OK);
    return true;
}

static int on_verify(int good, X509_STORE_CTX *store_ctx) {
    SSL *ssl = X509_STORE_CTX_get_ex_data(store_ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    if (!good && is_pardoned(tls_of(ssl), store_ctx))
        return 1;
    if (!good || X509_STORE_CTX_get_error_depth(store_ctx) > 0)
        return good;
    int verdict = check_peer(tls_of(ssl), store_ctx);
    if (verdict != X509_V_OK)
        X509_STORE_CTX_set_error(store_ctx, verdict);
    return verdict == X509_V_OK;
}

/* ---- sessions ---- */

static int on_new_session(SSL *ssl, SSL_SESSION *session) {
    struct tls *tls = tls_of(ssl);
    struct session_record record;
    int64_t now = clock_now();
    if (tls->proof != TLS_PROOF_NONE && session_pack(session, &tls->identity, now, tls->verified_at, tls->context->environment.generation, &record)) {
        tls->stored += session_store_put(tls->context->environment.sessions, &record, now);
        OPENSSL_cleanse(&record, sizeof(record));
    }
    return 0; /* OpenSSL keeps its reference */
}

/* OpenSSL asks for the sessions a client offers, one after the other, and takes the first it can use: the last answer is the one in use. */
static SSL_SESSION *on_get_session(SSL *ssl, const unsigned char *id, int len, int *copy) {
    struct tls *tls = tls_of(ssl);
    struct session_record record;
    *copy = 0;
    tls->offered = true;
    if (len < SESSION_ID_SIZE || len > SSL_MAX_SSL_SESSION_ID_LENGTH || SSL_version(ssl) != TLS1_3_VERSION ||
        !session_store_take(tls->context->environment.sessions, id, clock_now(), &record))
        return NULL;
    struct err err;
    struct api_identity identity = {.not_after = record.not_after, .lineage = record.lineage};
    memcpy(identity.id, record.device_id, sizeof(identity.id));
    memcpy(identity.spki_sha256, record.spki_sha256, sizeof(identity.spki_sha256));
    SSL_SESSION *session = NULL;
    if (record.generation == tls->context->environment.generation && certs_authorities_admit(tls->context->authorities, &identity.lineage, &err) &&
        admitted(tls, &identity))
        session = session_unpack(&record, ssl, id, (size_t)len, tls->context->id_context, sizeof(tls->context->id_context));
    if (session) {
        tls->identity = identity;
        tls->verified_at = record.verified_at;
        tls->proof = TLS_PROOF_RECORD;
    }
    OPENSSL_cleanse(&record, sizeof(record));
    return session;
}

/* ---- contexts ---- */

static int on_alpn(SSL *ssl, const unsigned char **ret_out, unsigned char *ret_len, const unsigned char *in, unsigned in_len, void *arg) {
    static const unsigned char http_11[] = "\x08http/1.1";
    (void)ssl, (void)arg;
    unsigned char *out = NULL;
    if (SSL_select_next_proto(&out, ret_len, http_11, sizeof(http_11) - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_out = out;
    return SSL_TLSEXT_ERR_OK;
}

static bool load_own(SSL_CTX *ctx, const struct wire_listener *listener, struct err *err) {
    struct stat status;
    if (stat(listener->key_file, &status) != 0)
        return err_errno(err, "private key '%s'", listener->key_file);
    if (status.st_mode & (S_IRWXG | S_IRWXO))
        return err_set(err, ERR_KEY, "private key '%s' can be used by group or others: chmod 0400", listener->key_file);
    if (SSL_CTX_use_certificate_chain_file(ctx, listener->certificate_file) != 1)
        return tls_error(err, ERR_CONFIG, "certificate", listener->certificate_file);
    if (SSL_CTX_use_PrivateKey_file(ctx, listener->key_file, SSL_FILETYPE_PEM) != 1)
        return tls_error(err, ERR_KEY, "private key", listener->key_file);
    return SSL_CTX_check_private_key(ctx) == 1 || tls_error(err, ERR_KEY, "private key does not belong to the certificate", listener->key_file);
}

static bool add_anchors(SSL_CTX *ctx, STACK_OF(X509) * anchors) {
    bool ok = true;
    for (int i = 0; ok && i < sk_X509_num(anchors); i++) {
        X509 *anchor = sk_X509_value(anchors, i);
        ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), anchor) == 1 && SSL_CTX_add_client_CA(ctx, anchor) == 1;
    }
    return ok;
}

static bool set_clients(SSL_CTX *ctx, const struct wire_listener *listener, const struct certs_authorities *authorities, struct err *err) {
    int mode = SSL_VERIFY_PEER | (listener->client_certificate == WIRE_CERTIFICATE_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    if (listener->client_certificate == WIRE_CERTIFICATE_NONE)
        return true;
    if (!authorities || !add_anchors(ctx, authorities->anchors))
        return tls_error(err, ERR_CONFIG, "certificate authorities", listener->clients.ca ? listener->clients.ca : "");
    if (X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT) != 1 || X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) != 1)
        return tls_error(err, ERR_TLS, "verification of clients by", listener->clients.ca);
    SSL_CTX_set_verify(ctx, mode, on_verify);
    SSL_CTX_set_verify_depth(ctx, CERTS_MAX_CHAIN - 2); /* OpenSSL counts the certificates between the leaf and the anchor */
    return true;
}

static bool set_protocol(SSL_CTX *ctx) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_security_level(ctx, 2);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 && SSL_CTX_set_ciphersuites(ctx, suites_13) == 1 &&
           SSL_CTX_set_cipher_list(ctx, suites_12) == 1 && SSL_CTX_set1_groups_list(ctx, groups) == 1 &&
           SSL_CTX_set1_sigalgs_list(ctx, signatures) == 1 && SSL_CTX_set1_client_sigalgs_list(ctx, signatures) == 1;
}

/* Only sessions that name a device are kept; elsewhere every handshake is a full one. */
static bool set_sessions(SSL_CTX *ctx, const struct tls_context *context) {
    bool keep = context->role == API_DEVICE;
    SSL_CTX_set_session_cache_mode(ctx, keep ? SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, SESSION_MAX_AGE_S);
    if (keep) {
        SSL_CTX_sess_set_new_cb(ctx, on_new_session);
        SSL_CTX_sess_set_get_cb(ctx, on_get_session);
    }
    return SSL_CTX_set_num_tickets(ctx, keep ? 2 : 0) == 1 &&
           SSL_CTX_set_session_id_context(ctx, context->id_context, sizeof(context->id_context)) == 1;
}

struct tls_context *tls_context_new(const struct wire_listener *listener, struct certs_authorities *authorities_take,
                                    const struct tls_environment *environment, struct err *err) {
    struct tls_context *context = calloc(1, sizeof(*context));
    if (!context) {
        certs_authorities_free(authorities_take);
        err_no_memory(err);
        return NULL;
    }
    context->references = 1;
    context->authorities = authorities_take;
    context->environment = *environment;
    context->role = listener->role;
    context->id_source = listener->role == API_ADMIN ? CERTS_ID_ADMIN_URI : listener->identity_from_cn ? CERTS_ID_COMMON_NAME : CERTS_ID_SAN_URI;
    context->factory_id_source = listener->factory_from_cn ? CERTS_ID_COMMON_NAME : CERTS_ID_SAN_URI;
    context->id_context[0] = (uint8_t)listener->role;
    memcpy(context->id_context + 1, &environment->generation, sizeof(environment->generation));
    ERR_clear_error();
    context->bio = bio_method_new();
    context->ssl_ctx = SSL_CTX_new(TLS_server_method());
    bool ok = context->bio && context->ssl_ctx && set_protocol(context->ssl_ctx) && set_sessions(context->ssl_ctx, context);
    if (!ok)
        tls_error(err, ERR_TLS, "TLS of the listener on", listener->address);
    if (!ok || !load_own(context->ssl_ctx, listener, err) || !set_clients(context->ssl_ctx, listener, context->authorities, err)) {
        tls_context_unref(context);
        return NULL;
    }
    return context;
}

struct tls_context *tls_context_ref(struct tls_context *context) {
    atomic_fetch_add(&context->references, 1);
    return context;
}

void tls_context_unref(struct tls_context *context) {
    if (context && atomic_fetch_sub(&context->references, 1) == 1) {
        SSL_CTX_free(context->ssl_ctx);
        BIO_meth_free(context->bio);
        certs_authorities_free(context->authorities);
        free(context);
    }
}

const struct certs_authorities *tls_context_authorities(const struct tls_context *context) {
    return context->authorities;
}

bool tls_trusted(const struct tls *tls, const struct tls_context *context) {
    struct err why;
    return tls->proof == TLS_PROOF_NONE || (context->authorities && certs_authorities_admit(context->authorities, &tls->identity.lineage, &why));
}

/* ---- connections ---- */

bool tls_start(struct tls *tls, struct tls_context *context, int fd, struct tls_gather *gather) {
    *tls = (struct tls){.fd = fd, .gather = gather, .readable = true, .writable = true};
    SSL *ssl = SSL_new(context->ssl_ctx);
    BIO *bio = ssl ? BIO_new(context->bio) : NULL;
    if (!bio) {
        SSL_free(ssl);
        ERR_clear_error();
        return false;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, tls);
    SSL_set_accept_state(ssl);
    tls->ssl = ssl;
    tls->context = tls_context_ref(context);
    return true;
}

void tls_end(struct tls *tls) {
    SSL_free(tls->ssl);
    tls_context_unref(tls->context);
    free(tls->pending);
    *tls = (struct tls){.fd = -1};
}

static enum tls_status status_of(struct tls *tls, int result) {
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_BLOCKED;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    default:
        ERR_clear_error();
        return TLS_FAILED;
    }
}

enum tls_status tls_handshake(struct tls *tls) {
    ERR_clear_error(); /* what others left in the thread's queue would be taken for a fault of this connection */
    int result = SSL_do_handshake(tls->ssl);
    if (result != 1)
        return status_of(tls, result);
    tls->resumed = SSL_session_reused(tls->ssl) == 1;
    bool proven = tls->proof == (tls->resumed ? TLS_PROOF_RECORD : TLS_PROOF_CERTIFICATE);
    return proven || tls->context->role != API_DEVICE ? TLS_OK : TLS_FAILED;
}

enum tls_status tls_read(struct tls *tls, void *data, size_t size, size_t *ret_len) {
    ERR_clear_error();
    int got = SSL_read(tls->ssl, data, size > INT_MAX ? INT_MAX : (int)size);
    if (got <= 0)
        return status_of(tls, got);
    *ret_len = (size_t)got;
    return TLS_OK;
}

bool tls_write(struct tls *tls, const void *data, size_t len) {
    ERR_clear_error();
    if (len == 0 || len > TLS_WRITE_MAX || SSL_write(tls->ssl, data, (int)len) != (int)len) {
        ERR_clear_error();
        return len == 0;
    }
    return true;
}

/* Keeps what the socket did not take, behind what waits already. */
static bool keep_pending(struct tls *tls, const uint8_t *data, size_t len) {
    size_t waiting = tls->pending_len - tls->pending_sent;
    if (waiting + len > TLS_PENDING_MAX)
        return false;
    uint8_t *both = malloc(waiting + len);
    if (!both)
        return false;
    if (waiting > 0)
        memcpy(both, tls->pending + tls->pending_sent, waiting);
    memcpy(both + waiting, data, len);
    free(tls->pending);
    tls->pending = both;
    tls->pending_len = waiting + len;
    tls->pending_sent = 0;
    return true;
}

/* Sends until the socket is full; returns how much it took. */
static size_t send_some(struct tls *tls, const uint8_t *data, size_t len) {
    size_t sent = 0;
    while (sent < len && tls->writable && !tls->dead) {
        ssize_t took = send(tls->fd, data + sent, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (took >= 0)
            sent += (size_t)took;
        else if (errno == EAGAIN)
            tls->writable = false;
        else if (errno != EINTR)
            tls->dead = true;
    }
    tls->sent_bytes += sent;
    return sent;
}

size_t tls_room(const struct tls *tls) {
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(memory);
    if (getsockopt(tls->fd, SOL_SOCKET, SO_MEMINFO, memory, &len) != 0)
        return TLS_GATHER_SIZE;
    uint32_t queued = memory[SK_MEMINFO_WMEM_QUEUED], size = memory[SK_MEMINFO_SNDBUF];
    return queued < size ? size - queued : 1;
}

enum tls_status tls_flush(struct tls *tls) {
    struct tls_gather *gather = tls->gather;
    size_t sent = 0;
    bool kept = true;
    if (tls->pending) {
        tls->pending_sent += send_some(tls, tls->pending + tls->pending_sent, tls->pending_len - tls->pending_sent);
        if (tls->pending_sent == tls->pending_len) {
            free(tls->pending);
            tls->pending = NULL;
            tls->pending_len = tls->pending_sent = 0;
        }
    }
    if (!tls->pending)
        sent = send_some(tls, gather->data, gather->len);
    if (sent < gather->len && !tls->dead)
        kept = keep_pending(tls, gather->data + sent, gather->len - sent);
    gather->len = 0;
    if (tls->dead || !kept)
        return TLS_FAILED;
    return tls->pending ? TLS_BLOCKED : TLS_OK;
}

void tls_say_goodbye(struct tls *tls) {
    if (!tls->dead && SSL_is_init_finished(tls->ssl)) {
        (void)SSL_shutdown(tls->ssl);
        ERR_clear_error();
    }
}
