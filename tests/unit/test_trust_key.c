/* Keys: made, kept, refused; signatures checked against ones that openssl made. */
#include "tests/unit/trust_cases.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/hex.h"

static const char passphrase[] = "correct horse";

static bool load(const char *path, const char *pass, struct key **ret_key, struct err *err) {
    return key_load_private(path, pass, strlen(pass), ret_key, err);
}

static void test_save_and_load(void **state) {
    (void)state;
    static const enum key_type types[] = {KEY_ECDSA_P256, KEY_ED25519};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        char *folder = sim_folder(), path[256];
        struct key *key = NULL, *loaded = NULL;
        struct key_signature signature;
        struct stat info;
        snprintf(path, sizeof path, "%s/key.pem", folder);
        SIM_OK(key_generate(types[i], &key, &sim_err));
        SIM_OK(key_save_private(key, path, passphrase, strlen(passphrase), &sim_err));
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 07777, 0400);
        assert_int_equal(SIM_CODE(key_save_private(key, path, passphrase, strlen(passphrase), &sim_err)), ERR_CONFLICT);
        SIM_OK(load(path, passphrase, &loaded, &sim_err));
        assert_true(key_same(key, loaded));
        assert_int_equal(key_type(loaded), types[i]);
        assert_string_equal(key_id(key), key_id(loaded));
        SIM_OK(key_sign(loaded, "abc", 3, &signature, &sim_err));
        assert_true(key_verify(key, "abc", 3, signature.bytes, signature.len));
        struct buf file;
        cases_read(path, &file);
        assert_true(strncmp(file.data, "-----BEGIN ENCRYPTED PRIVATE KEY-----", 37) == 0);
        buf_free(&file);
        key_free(loaded);
        key_free(key);
        sim_remove_folder(folder);
    }
}

static void test_passphrases(void **state) {
    (void)state;
    char *folder = sim_folder(), path[256];
    struct key *key = NULL, *loaded = NULL;
    char *long_one = calloc(1, KEY_PASSPHRASE_MAX + 1);
    snprintf(path, sizeof path, "%s/key.pem", folder);
    SIM_OK(key_generate(KEY_ED25519, &key, &sim_err));
    assert_int_equal(SIM_CODE(key_save_private(key, path, "short", 5, &sim_err)), ERR_PASSPHRASE);
    assert_int_equal(SIM_CODE(key_save_private(key, path, "", 0, &sim_err)), ERR_PASSPHRASE);
    assert_int_equal(SIM_CODE(key_save_private(key, path, long_one, KEY_PASSPHRASE_MAX + 1, &sim_err)), ERR_PASSPHRASE);
    assert_false(file_exists(path));
    SIM_OK(key_save_private(key, path, passphrase, strlen(passphrase), &sim_err));
    assert_int_equal(SIM_CODE(load(path, "", &loaded, &sim_err)), ERR_PASSPHRASE);
    assert_int_equal(SIM_CODE(load(path, "correct hors", &loaded, &sim_err)), ERR_PASSPHRASE);
    assert_int_equal(SIM_CODE(load(path, "correct horse\n", &loaded, &sim_err)), ERR_PASSPHRASE);
    assert_int_equal(SIM_CODE(key_load_private(path, long_one, KEY_PASSPHRASE_MAX + 1, &loaded, &sim_err)), ERR_PASSPHRASE);
    /* Any bytes are a passphrase. */
    char other[256];
    snprintf(other, sizeof other, "%s/other.pem", folder);
    SIM_OK(key_save_private(key, other, "a\0b\0c\0d\0e", 9, &sim_err));
    SIM_OK(key_load_private(other, "a\0b\0c\0d\0e", 9, &loaded, &sim_err));
    key_free(loaded);
    assert_int_equal(SIM_CODE(key_load_private(other, "a\0b\0c\0d\0f", 9, &loaded, &sim_err)), ERR_PASSPHRASE);
    free(long_one);
    key_free(key);
    sim_remove_folder(folder);
}

/* A copy of a committed file with the mode a key file must have. */
static void copy_key(const char *folder, const char *name, char path[256]) {
    struct buf file;
    char from[512];
    snprintf(from, sizeof from, PAWL_TEST_DATA "/trust/keys/%s", name);
    snprintf(path, 256, "%s/key.pem", folder);
    cases_read(from, &file);
    remove(path);
    SIM_OK(file_write_new(path, file.data, file.len, 0400, &sim_err));
    buf_free(&file);
}

static void test_openssl_pkcs8_is_read(void **state) {
    (void)state;
    char *folder = sim_folder(), path[256];
    struct key *key = NULL;
    copy_key(folder, "pkcs8-pbkdf2.pem", path);
    SIM_OK(load(path, passphrase, &key, &sim_err));
    assert_int_equal(key_type(key), KEY_ECDSA_P256);
    key_free(key);
    sim_remove_folder(folder);
}

static void test_unusable_files(void **state) {
    (void)state;
    static const char *const names[] = {"pkcs8-plain.pem", "sec1-plain.pem", "sec1-encrypted.pem", "pkcs8-p384.pem", "pkcs8-rsa.pem", "ecdsa.json"};
    char *folder = sim_folder(), path[256];
    struct key *key = NULL;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        copy_key(folder, names[i], path);
        struct err err = {0};
        assert_false(load(path, passphrase, &key, &err));
        if (err.code != ERR_KEY || (i < 3 && strstr(err.text, "unprotected keys are refused") == NULL))
            fail_msg("%s: %s", names[i], err.text);
    }
    remove(path);
    assert_int_equal(SIM_CODE(load(path, passphrase, &key, &sim_err)), ERR_NOT_FOUND);
    SIM_OK(file_write_new(path, "", 0, 0400, &sim_err));
    assert_int_equal(SIM_CODE(load(path, passphrase, &key, &sim_err)), ERR_KEY);
    remove(path);
    static const char damaged[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAMCAQA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    SIM_OK(file_write_new(path, damaged, strlen(damaged), 0400, &sim_err));
    assert_int_equal(SIM_CODE(load(path, passphrase, &key, &sim_err)), ERR_KEY);
    sim_remove_folder(folder);
}

static void test_open_permissions(void **state) {
    (void)state;
    static const mode_t refused[] = {0440, 0404, 0640, 0604, 0660, 0606, 0444};
    char *folder = sim_folder(), path[256];
    struct key *key = NULL;
    copy_key(folder, "pkcs8-pbkdf2.pem", path);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        assert_int_equal(chmod(path, refused[i]), 0);
        assert_int_equal(SIM_CODE(load(path, passphrase, &key, &sim_err)), ERR_KEY);
    }
    assert_int_equal(chmod(path, 0600), 0);
    SIM_OK(load(path, passphrase, &key, &sim_err));
    key_free(key);
    sim_remove_folder(folder);
}

static struct key *key_of(const json_t *object) {
    struct key *key = NULL;
    SIM_OK(key_from_public(json_string_value(json_object_get(object, "keytype")), json_string_value(json_object_get(object, "scheme")),
                           json_string_value(json_object_get(json_object_get(object, "keyval"), "public")), &key, &sim_err));
    return key;
}

static json_t *read_json(const char *name) {
    struct buf file;
    char path[512];
    snprintf(path, sizeof path, PAWL_TEST_DATA "/trust/keys/%s", name);
    cases_read(path, &file);
    json_t *value = json_loadb(file.data, file.len, 0, NULL);
    assert_non_null(value);
    buf_free(&file);
    return value;
}

/* Ids as another program computed them. */
static void test_key_ids(void **state) {
    (void)state;
    struct key_signature signature;
    static const char *const names[] = {"ecdsa", "ed25519", "rsa"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char name[32], path[512];
        struct buf id;
        snprintf(name, sizeof name, "%s.json", names[i]);
        snprintf(path, sizeof path, PAWL_TEST_DATA "/trust/keys/%s.id", names[i]);
        json_t *object = read_json(name);
        struct key *key = key_of(object);
        cases_read(path, &id);
        assert_string_equal(key_id(key), id.data);
        assert_string_equal(key_keytype(key), names[i]);
        assert_int_equal(SIM_CODE(key_sign(key, "abc", 3, &signature, &sim_err)), ERR_KEY);
        assert_string_equal(key_public(key), json_string_value(json_object_get(json_object_get(object, "keyval"), "public")));
        buf_free(&id);
        key_free(key);
        json_decref(object);
    }
}

static void test_openssl_signatures(void **state) {
    (void)state;
    static const struct {
        const char *name;
        bool valid;
    } rows[] = {{"signature-ecdsa.json", true}, {"signature-ed25519.json", true}, {"signature-rsa.json", true}, {"signature-rsa-pkcs1.json", false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        json_t *vector = read_json(rows[i].name);
        struct key *key = key_of(json_object_get(vector, "key"));
        const char *message = json_string_value(json_object_get(vector, "message"));
        const char *hex = json_string_value(json_object_get(vector, "sig"));
        uint8_t signature[KEY_SIGNATURE_MAX + 1] = {0};
        size_t len = strlen(hex) / 2;
        assert_true(hex_decode(hex, strlen(hex), signature));
        assert_int_equal(key_verify(key, message, strlen(message), signature, len), rows[i].valid);
        assert_false(key_verify(key, message, strlen(message) - 1, signature, len));
        assert_false(key_verify(key, message, strlen(message), signature, 0));
        assert_false(key_verify(key, message, strlen(message), signature, len - 1));
        assert_false(key_verify(key, message, strlen(message), signature, len + 1));
        for (size_t bit = 0; bit < 8 * len; bit++) {
            signature[bit / 8] = (uint8_t)(signature[bit / 8] ^ (1U << (bit % 8)));
            assert_false(key_verify(key, message, strlen(message), signature, len));
            signature[bit / 8] = (uint8_t)(signature[bit / 8] ^ (1U << (bit % 8)));
        }
        key_free(key);
        json_decref(vector);
    }
}

static void test_only_private_keys_sign(void **state) {
    (void)state;
    json_t *object = read_json("ecdsa.json");
    struct key *key = key_of(object), *rsa = NULL;
    struct key_signature signature;
    assert_int_equal(SIM_CODE(key_sign(key, "a", 1, &signature, &sim_err)), ERR_KEY);
    assert_int_equal(SIM_CODE(key_sign_file(key, 0, &signature, &sim_err)), ERR_KEY);
    assert_int_equal(SIM_CODE(key_save_private(key, "/nowhere", passphrase, strlen(passphrase), &sim_err)), ERR_KEY);
    assert_int_equal(SIM_CODE(key_generate(KEY_RSA, &rsa, &sim_err)), ERR_KEY);
    assert_int_equal(SIM_CODE(key_generate(KEY_NONE, &rsa, &sim_err)), ERR_KEY);
    key_free(key);
    json_decref(object);
}

static void test_unknown_types(void **state) {
    (void)state;
    struct key *key = NULL;
    static const char *const rows[][2] = {
        {"ecdsa", "ecdsa-sha2-nistp384"}, {"ed25519", "ecdsa-sha2-nistp256"}, {"ml-dsa", "ml-dsa-65"}, {"rsa", "rsa-pkcs1v15-sha256"}, {"", ""}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(SIM_CODE(key_from_public(rows[i][0], rows[i][1], "x", &key, &sim_err)), ERR_NOT_IMPLEMENTED);
}

/* Over what could be the signed part of metadata there is no detached signature: the same key signs both, over the plain bytes. */
static void test_no_detached_signature_of_metadata(void **state) {
    (void)state;
    static const char *const rows[] = {"{\"_type\":\"targets\"}", "{"};
    char *folder = sim_folder(), path[256];
    struct key *key = NULL;
    struct key_signature signature;
    SIM_OK(key_generate(KEY_ECDSA_P256, &key, &sim_err));
    snprintf(path, sizeof path, "%s/other.pem", folder);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        SIM_OK(file_write_atomic(path, rows[i], strlen(rows[i]), 0600, &sim_err));
        int fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(SIM_CODE(key_check_file(fd, &sim_err)), ERR_INVALID);
        assert_int_equal(SIM_CODE(key_sign_file(key, fd, &signature, &sim_err)), ERR_INVALID);
        assert_int_equal(pwrite(fd, "[", 1, 0), 1);
        SIM_OK(key_check_file(fd, &sim_err));
        SIM_OK(key_sign_file(key, fd, &signature, &sim_err));
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(SIM_CODE(key_check_file(fd, &sim_err)), ERR_LENGTH);
        close(fd);
        assert_int_equal(SIM_CODE(key_check_file(fd, &sim_err)), ERR_IO);
    }
    key_free(key);
    sim_remove_folder(folder);
}

static void test_detached_signature(void **state) {
    (void)state;
    char *folder = sim_folder(), path[256];
    struct key *key = NULL, *other = NULL, *ed25519 = NULL;
    struct key_signature signature;
    uint8_t digest[32];
    size_t size = 200001;
    char *image = malloc(size);
    for (size_t i = 0; i < size; i++)
        image[i] = (char)(i * 7 + i / 256);
    snprintf(path, sizeof path, "%s/other.pem", folder);
    SIM_OK(file_write_new(path, image, size, 0600, &sim_err));
    SIM_OK(key_generate(KEY_ECDSA_P256, &key, &sim_err));
    SIM_OK(key_generate(KEY_ECDSA_P256, &other, &sim_err));
    SIM_OK(key_generate(KEY_ED25519, &ed25519, &sim_err));
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(lseek(fd, 77, SEEK_SET), 77); /* the file's position means nothing */
    SIM_OK(key_sign_file(key, fd, &signature, &sim_err));
    SIM_OK(hash_sha256(image, size, digest, &sim_err));
    SIM_OK(key_verify_digest(key, digest, signature.bytes, signature.len, &sim_err));
    assert_true(key_verify(key, image, size, signature.bytes, signature.len));
    assert_int_equal(SIM_CODE(key_verify_digest(other, digest, signature.bytes, signature.len, &sim_err)), ERR_SIGNATURE);
    assert_int_equal(SIM_CODE(key_verify_digest(key, digest, "", 0, &sim_err)), ERR_SIGNATURE);
    assert_int_equal(SIM_CODE(key_sign_file(ed25519, fd, &signature, &sim_err)), ERR_KEY);
    assert_int_equal(SIM_CODE(key_verify_digest(ed25519, digest, signature.bytes, signature.len, &sim_err)), ERR_KEY);
    assert_int_equal(pwrite(fd, "X", 1, (off_t)size - 1), 1); /* one byte of the last chunk */
    SIM_OK(key_sign_file(key, fd, &signature, &sim_err));
    assert_int_equal(SIM_CODE(key_verify_digest(key, digest, signature.bytes, signature.len, &sim_err)), ERR_SIGNATURE);
    close(fd);
    assert_int_equal(SIM_CODE(key_sign_file(key, fd, &signature, &sim_err)), ERR_IO);
    free(image);
    key_free(key);
    key_free(other);
    key_free(ed25519);
    sim_remove_folder(folder);
}

static void test_export_pem(void **state) {
    (void)state;
    struct key *key = NULL, *again = NULL, *ed25519 = NULL;
    struct buf pem = BUF_INIT(KEY_PUBLIC_MAX);
    SIM_OK(key_generate(KEY_ECDSA_P256, &key, &sim_err));
    SIM_OK(key_export_pem(key, &pem, &sim_err));
    assert_string_equal(pem.data, key_public(key));
    SIM_OK(key_from_public("ecdsa", "ecdsa-sha2-nistp256", pem.data, &again, &sim_err));
    assert_true(key_same(key, again));
    buf_reset(&pem);
    SIM_OK(key_generate(KEY_ED25519, &ed25519, &sim_err));
    SIM_OK(key_export_pem(ed25519, &pem, &sim_err));
    assert_true(strncmp(pem.data, "-----BEGIN PUBLIC KEY-----\n", 27) == 0);
    assert_int_equal(strlen(key_public(ed25519)), 64);
    assert_false(key_same(key, ed25519));
    buf_free(&pem);
    key_free(key);
    key_free(again);
    key_free(ed25519);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_save_and_load),         cmocka_unit_test(test_passphrases),
        cmocka_unit_test(test_openssl_pkcs8_is_read), cmocka_unit_test(test_unusable_files),
        cmocka_unit_test(test_open_permissions),      cmocka_unit_test(test_key_ids),
        cmocka_unit_test(test_openssl_signatures),    cmocka_unit_test(test_only_private_keys_sign),
        cmocka_unit_test(test_unknown_types),         cmocka_unit_test(test_no_detached_signature_of_metadata),
        cmocka_unit_test(test_detached_signature),    cmocka_unit_test(test_export_pem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
