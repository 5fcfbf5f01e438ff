#include "trust/repository.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/text.h"

#define SPEC_VERSION "1.0.34"

enum { ROOM_KEPT = 98304 /* bytes of a targets file that releases leave to what comes after them */ };

struct draft {
    json_t *body;       /* "signed" */
    json_t *signatures; /* the list */
};

void draft_free(struct draft *draft) {
    if (draft != NULL) {
        json_decref(draft->body);
        json_decref(draft->signatures);
        free(draft);
    }
}

void draft_cleanup(struct draft **draft) {
    draft_free(*draft);
    *draft = NULL;
}

/* Takes both references, also on failure; either may be NULL. */
static bool draft_take(json_t *body, json_t *signatures, struct draft **ret_draft, struct err *err) {
    struct draft *draft = calloc(1, sizeof *draft);
    if (draft == NULL || body == NULL || signatures == NULL) {
        json_decref(body);
        json_decref(signatures);
        free(draft);
        return err_no_memory(err);
    }
    *draft = (struct draft){.body = body, .signatures = signatures};
    *ret_draft = draft;
    return true;
}

static json_t *new_body(enum metadata_role role, int64_t version, int64_t expires_at) {
    char expires[CLOCK_RFC3339_SIZE];
    clock_rfc3339(expires_at, expires);
    return json_pack("{s:s, s:s, s:s, s:I}", "_type", metadata_role_name(role), "expires", expires, "spec_version", SPEC_VERSION, "version",
                     (json_int_t)version);
}

/* The body of the previous version with version and expiry set anew. */
static json_t *next_body(const struct metadata *previous, int64_t expires_at) {
    char expires[CLOCK_RFC3339_SIZE];
    clock_rfc3339(expires_at, expires);
    json_t *body = json_deep_copy(previous->envelope.signed_);
    int failed = json_object_set_new(body, "version", json_integer(previous->version + 1));
    failed |= json_object_set_new(body, "expires", json_string(expires));
    failed |= json_object_set_new(body, "spec_version", json_string(SPEC_VERSION));
    if (failed != 0) {
        json_decref(body);
        return NULL;
    }
    return body;
}

int64_t repository_expiry(enum metadata_role role, int64_t now) {
    static const int64_t lifetimes_s[METADATA_ROLE_COUNT] = {
        [METADATA_ROOT] = REPOSITORY_ROOT_LIFETIME_S,
        [METADATA_TIMESTAMP] = REPOSITORY_TIMESTAMP_LIFETIME_S,
        [METADATA_SNAPSHOT] = REPOSITORY_SNAPSHOT_LIFETIME_S,
        [METADATA_TARGETS] = REPOSITORY_TARGETS_LIFETIME_S,
    };
    return now + (role < METADATA_ROLE_COUNT ? lifetimes_s[role] : 0);
}

/* Enters the keys into `keys` by id. */
static int add_keys(json_t *keys, const struct repository_signers *signers) {
    int failed = 0;
    for (size_t i = 0; i < signers->count; i++)
        failed |= json_object_set_new(keys, key_id(signers->keys[i]), key_object(signers->keys[i]));
    return failed;
}

static json_t *write_signers(const struct repository_signers *signers) {
    json_t *keyids = json_array();
    int failed = 0;
    for (size_t i = 0; i < signers->count; i++)
        failed |= json_array_append_new(keyids, json_string(key_id(signers->keys[i])));
    if (failed != 0) {
        json_decref(keyids);
        return NULL;
    }
    return json_pack("{s:o, s:I}", "keyids", keyids, "threshold", (json_int_t)signers->threshold);
}

static bool check_signers(const char *file, const char *role, const struct repository_signers *signers, struct err *err) {
    for (size_t i = 0; i < signers->count; i++) {
        for (size_t j = 0; j < i; j++)
            if (key_same(signers->keys[i], signers->keys[j]))
                return err_set(err, ERR_THRESHOLD, "%s: role %s lists one key twice", file, role);
    }
    return (signers->threshold >= 1 && signers->threshold <= signers->count) ||
           err_set(err, ERR_THRESHOLD, "%s: role %s has %zu keys and a threshold of %zu", file, role, signers->count, signers->threshold);
}

bool repository_root(const struct repository_root *root, struct draft **ret_draft, struct err *err) {
    const struct {
        const char *name;
        const struct repository_signers *signers;
    } rows[] = {{"root", &root->root}, {"targets", &root->targets}, {"snapshot", &root->snapshot}, {"timestamp", &root->timestamp}};
    json_t *body = new_body(METADATA_ROOT, root->version, root->expires_at);
    json_t *keys = json_object(), *roles = json_object();
    bool fine = true;
    int failed = 0;
    for (size_t i = 0; fine && i < ARRAY_LEN(rows); i++) {
        fine = check_signers("root", rows[i].name, rows[i].signers, err);
        failed |= fine ? add_keys(keys, rows[i].signers) | json_object_set_new(roles, rows[i].name, write_signers(rows[i].signers)) : 0;
    }
    if (fine && root->directive.count > 0) {
        fine = check_signers("root", "x-pawl-directive", &root->directive, err);
        failed |= fine ? add_keys(keys, &root->directive) | json_object_set_new(body, "x-pawl-directive", write_signers(&root->directive)) : 0;
    }
    failed |= json_object_set(body, "keys", keys) | json_object_set(body, "roles", roles) |
              json_object_set_new(body, "consistent_snapshot", json_true());
    json_decref(keys);
    json_decref(roles);
    if (!fine || failed != 0) {
        json_decref(body);
        return fine ? err_no_memory(err) : false;
    }
    return draft_take(body, json_array(), ret_draft, err);
}

bool repository_targets(const struct metadata *previous, int64_t expires_at, struct draft **ret_draft, struct err *err) {
    if (previous != NULL)
        return draft_take(next_body(previous, expires_at), json_array(), ret_draft, err);
    json_t *body = new_body(METADATA_TARGETS, 1, expires_at);
    if (body != NULL && json_object_set_new(body, "targets", json_object()) != 0) {
        json_decref(body);
        body = NULL;
    }
    return draft_take(body, json_array(), ret_draft, err);
}

/* Without room left a full role could neither withdraw a release nor hand its products on. */
static bool check_room(const struct draft *targets, size_t releases, struct err *err) {
    CLEANUP(buf_free) struct buf file = BUF_INIT(METADATA_TARGETS_MAX - ROOM_KEPT);
    if (draft_bytes(targets, &file, err))
        return true;
    return err->code == ERR_TOO_LARGE
               ? err_set(err, ERR_TOO_LARGE,
                         "this role is full with %zu releases: delegate the product's paths to another (pawl targets delegate), and publish there",
                         releases)
               : false;
}

bool repository_add_release(struct draft *targets, const struct release *release, struct err *err) {
    json_t *list = json_object_get(targets->body, "targets");
    if (list == NULL)
        return err_set(err, ERR_INTERNAL, "a release is added to targets only");
    json_t *entry = release_write(release, err);
    if (entry == NULL)
        return false;
    if (json_object_get(list, release->path) != NULL) {
        json_decref(entry);
        return err_set(err, ERR_CONFLICT, "'%s' is published already", release->path);
    }
    if (json_object_set_new(list, release->path, entry) != 0 || json_array_clear(targets->signatures) != 0)
        return err_no_memory(err);
    if (check_room(targets, json_object_size(list) - 1, err))
        return true;
    json_object_del(list, release->path);
    return false;
}

bool repository_withdraw(struct draft *targets, const char *path, struct err *err) {
    json_t *entry = json_object_get(json_object_get(targets->body, "targets"), path);
    json_t *pawl = json_object_get(json_object_get(entry, "custom"), "pawl");
    if (pawl == NULL)
        return err_set(err, ERR_NOT_FOUND, "'%s' is not listed here", path);
    if (json_object_set_new(pawl, "withdrawn", json_true()) != 0 || json_array_clear(targets->signatures) != 0)
        return err_no_memory(err);
    return true;
}

/* The keys of `all` that some role of the list names. New reference; NULL without memory. */
static json_t *used_keys(const json_t *all, const json_t *roles) {
    json_t *used = json_object();
    int failed = 0;
    for (size_t i = 0; i < json_array_size(roles); i++) {
        const json_t *keyids = json_object_get(json_array_get(roles, i), "keyids");
        for (size_t j = 0; j < json_array_size(keyids); j++) {
            const char *id = json_string_value(json_array_get(keyids, j));
            failed |= json_object_set(used, id, json_object_get(all, id));
        }
    }
    if (failed != 0) {
        json_decref(used);
        return NULL;
    }
    return used;
}

static json_t *write_delegation(const struct repository_delegation *delegation) {
    json_t *role = write_signers(&delegation->signers);
    json_t *paths = json_array();
    int failed = 0;
    for (size_t i = 0; i < delegation->path_count; i++)
        failed |= json_array_append_new(paths, json_string(delegation->paths[i]));
    failed |= json_object_set_new(role, "paths", paths) | json_object_set_new(role, "name", json_string(delegation->role)) |
              json_object_set_new(role, "terminating", json_boolean(delegation->terminating));
    if (failed != 0) {
        json_decref(role);
        return NULL;
    }
    return role;
}

static size_t find_delegation(const json_t *roles, const char *name) {
    size_t i = 0;
    while (i < json_array_size(roles) && !text_equal(json_string_value(json_object_get(json_array_get(roles, i), "name")), name))
        i++;
    return i;
}

/* {keys, roles} of the draft, made when there is none; borrowed, NULL without memory. */
static json_t *delegations_of(struct draft *targets) {
    json_t *delegations = json_object_get(targets->body, "delegations");
    if (delegations == NULL) {
        json_object_set_new(targets->body, "delegations", json_pack("{s:{}, s:[]}", "keys", "roles"));
        delegations = json_object_get(targets->body, "delegations");
    }
    return delegations;
}

bool repository_delegate(struct draft *targets, const struct repository_delegation *delegation, struct err *err) {
    if (!metadata_delegated_name_check(delegation->role, err) || !check_signers("targets", delegation->role, &delegation->signers, err))
        return false;
    if (delegation->path_count < 1 || delegation->path_count > METADATA_PATTERNS_MAX)
        return err_set_field(err, ERR_INVALID, "paths", "a delegation names 1 to %d path patterns", METADATA_PATTERNS_MAX);
    json_t *delegations = delegations_of(targets);
    json_t *keys = json_object_get(delegations, "keys"), *roles = json_object_get(delegations, "roles");
    size_t place = find_delegation(roles, delegation->role);
    int failed = add_keys(keys, &delegation->signers);
    failed |= place < json_array_size(roles) ? json_array_set_new(roles, place, write_delegation(delegation))
                                             : json_array_append_new(roles, write_delegation(delegation));
    failed |= json_object_set_new(delegations, "keys", used_keys(keys, roles)) | json_array_clear(targets->signatures);
    return failed == 0 || err_no_memory(err);
}

/* Puts {version, length, hashes} of a finished file into `meta`. */
static bool set_file(json_t *meta, const char *name, int64_t version, const void *data, size_t len, struct err *err) {
    char sha256[SHA256_HEX_SIZE];
    if (!hash_sha256_hex(data, len, sha256, err))
        return false;
    json_t *object = json_pack("{s:{s:s}, s:I, s:I}", "hashes", "sha256", sha256, "length", (json_int_t)len, "version", (json_int_t)version);
    return json_object_set_new(meta, name, object) == 0 || err_no_memory(err);
}

static bool list_file(json_t *meta, const struct repository_file *file, struct err *err) {
    CLEANUP(metadata_cleanup) struct metadata *metadata = NULL;
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, 4096);
    const char *role = text_equal(file->role, "targets") ? NULL : file->role;
    const char *name = arena_printf(&arena, "%s.json", file->role);
    if (name == NULL)
        return err_no_memory(err);
    if (!metadata_parse(METADATA_TARGETS, role, file->data, file->len, &metadata, err))
        return false;
    int64_t listed = json_integer_value(json_object_get(json_object_get(meta, name), "version"));
    if (metadata->version < listed)
        return err_set(err, ERR_ROLLBACK, "%s: version %lld after version %lld", file->role, (long long)metadata->version, (long long)listed);
    return set_file(meta, name, metadata->version, file->data, file->len, err);
}

bool repository_snapshot(const struct metadata *previous, const struct repository_file *files, size_t count, int64_t expires_at,
                         struct draft **ret_draft, struct err *err) {
    json_t *body = previous != NULL ? next_body(previous, expires_at) : new_body(METADATA_SNAPSHOT, 1, expires_at);
    json_t *meta = json_object_get(body, "meta");
    if (meta == NULL && body != NULL) {
        meta = json_object();
        if (json_object_set_new(body, "meta", meta) != 0) {
            json_decref(body);
            return err_no_memory(err);
        }
    }
    for (size_t i = 0; meta != NULL && i < count; i++) {
        if (!list_file(meta, &files[i], err)) {
            json_decref(body);
            return false;
        }
    }
    return draft_take(body, json_array(), ret_draft, err);
}

bool repository_timestamp(int64_t version, const struct metadata *snapshot, int64_t expires_at, struct draft **ret_draft, struct err *err) {
    json_t *body = new_body(METADATA_TIMESTAMP, version, expires_at);
    json_t *meta = json_object();
    bool fine = set_file(meta, "snapshot.json", snapshot->version, snapshot->bytes, snapshot->len, err);
    if (!fine || json_object_set(body, "meta", meta) != 0) {
        json_decref(meta);
        json_decref(body);
        return fine ? err_no_memory(err) : false;
    }
    json_decref(meta);
    return draft_take(body, json_array(), ret_draft, err);
}

/* Without the entry of that key id, if there is one. */
static void remove_signature(struct draft *draft, const char *keyid) {
    for (size_t i = json_array_size(draft->signatures); i-- > 0;)
        if (text_equal(json_string_value(json_object_get(json_array_get(draft->signatures, i), "keyid")), keyid))
            json_array_remove(draft->signatures, i);
}

/* In the place of the one that its key has there. Takes the entry; NULL is false. */
static bool put_signature(struct draft *draft, const struct key *key, json_t *entry, struct err *err) {
    if (entry == NULL)
        return false;
    remove_signature(draft, key_id(key));
    return json_array_append_new(draft->signatures, entry) == 0 || err_no_memory(err);
}

bool draft_sign(struct draft *draft, const struct key *key, struct err *err) {
    return put_signature(draft, key, envelope_signature(draft->body, key, err), err);
}

bool draft_attach(struct draft *draft, const struct key *key, const void *signature, size_t len, struct err *err) {
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(ENVELOPE_SIGNED_MAX);
    struct key_signature copy = {.len = len};
    if (!draft_signed_bytes(draft, &bytes, err))
        return false;
    if (len > sizeof copy.bytes || !key_verify(key, bytes.data, bytes.len, signature, len))
        return err_set(err, ERR_SIGNATURE, "the signature is not one of key %.16s… over this file", key_id(key));
    memcpy(copy.bytes, signature, len);
    return put_signature(draft, key, envelope_entry(key, &copy, err), err);
}

static bool has_signature(const struct draft *draft, const char *keyid) {
    for (size_t i = 0; i < json_array_size(draft->signatures); i++)
        if (text_equal(json_string_value(json_object_get(json_array_get(draft->signatures, i), "keyid")), keyid))
            return true;
    return false;
}

/* Is this entry a signature by the key of its id over these bytes? */
static bool is_valid(const json_t *entry, const struct signers *signers, const struct buf *bytes) {
    const char *keyid = json_string_value(json_object_get(entry, "keyid"));
    const char *hex = json_string_value(json_object_get(entry, "sig"));
    uint8_t signature[KEY_SIGNATURE_MAX];
    size_t digits = hex != NULL ? strlen(hex) : 0;
    if (digits > 2 * sizeof signature || digits % 2 != 0 || !hex_decode(hex != NULL ? hex : "", digits, signature))
        return false;
    for (size_t i = 0; i < signers->count; i++)
        if (text_equal(signers->items[i]->id, keyid))
            return signers->items[i]->key != NULL && key_verify(signers->items[i]->key, bytes->data, bytes->len, signature, digits / 2);
    return false;
}

bool draft_drop_invalid(struct draft *draft, const struct signers *signers, size_t *ret_dropped, struct err *err) {
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(ENVELOPE_SIGNED_MAX);
    size_t dropped = 0;
    if (!draft_signed_bytes(draft, &bytes, err))
        return false;
    for (size_t i = json_array_size(draft->signatures); i-- > 0;) {
        if (!is_valid(json_array_get(draft->signatures, i), signers, &bytes)) {
            json_array_remove(draft->signatures, i);
            dropped++;
        }
    }
    *ret_dropped = dropped;
    return true;
}

bool draft_merge(struct draft *draft, const struct draft *other, struct err *err) {
    if (json_equal(draft->body, other->body) == 0)
        return err_set(err, ERR_MIX, "the copies do not say the same");
    for (size_t i = 0; i < json_array_size(other->signatures); i++) {
        json_t *entry = json_array_get(other->signatures, i);
        if (!has_signature(draft, json_string_value(json_object_get(entry, "keyid"))) && json_array_append(draft->signatures, entry) != 0)
            return err_no_memory(err);
    }
    return true;
}

bool draft_read(const void *data, size_t len, struct draft **ret_draft, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    arena_init(&arena, 4 * METADATA_TARGETS_MAX);
    struct envelope envelope = {0};
    if (!envelope_parse(&arena, data, len, METADATA_TARGETS_MAX, "draft", &envelope, err))
        return false;
    json_t *body = json_incref(json_object_get(envelope.root, "signed"));
    json_t *signatures = json_incref(json_object_get(envelope.root, "signatures"));
    envelope_free(&envelope);
    return draft_take(body, signatures, ret_draft, err);
}

bool draft_bytes(const struct draft *draft, struct buf *out, struct err *err) {
    json_t *document = json_pack("{s:O, s:O}", "signatures", draft->signatures, "signed", draft->body);
    bool fine = document != NULL ? canon_file_bytes(out, document, err) : err_no_memory(err);
    json_decref(document);
    return fine;
}

bool draft_signed_bytes(const struct draft *draft, struct buf *out, struct err *err) {
    return canon_signed_bytes(out, draft->body, err);
}

size_t draft_signature_count(const struct draft *draft) {
    return json_array_size(draft->signatures);
}
