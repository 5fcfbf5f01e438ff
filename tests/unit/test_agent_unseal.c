/* Sealed images on the device: opened into the slot that does not run, or for an installer; whatever is not genuine and whole is E_DECRYPT. */
#include "agent_common.h"

#include "agent/install.h"
#include "agent/unseal.h"
#include "common/file.h"
#include "common/hash.h"
#include "trust/seal.h"

enum { LENGTH = 2 * SEAL_CHUNK_SIZE + 1000, SEALED_CHUNK = SEAL_CHUNK_SIZE + 16, SEALED_MAX = LENGTH + 4096 };
static struct err err;
static char image[LENGTH], sealed[SEALED_MAX], sha256[SHA256_HEX_SIZE];
static size_t sealed_len;
static char identity_path[256], identity_text[SEAL_TEXT_SIZE];
static struct agent_settings settings;

static bool read_image(void *context, void *data, size_t cap, size_t *ret_len, UNUSED struct err *error) {
    size_t *at = context;
    *ret_len = LENGTH - *at < cap ? LENGTH - *at : cap;
    memcpy(data, image + *at, *ret_len);
    *at += *ret_len;
    return true;
}

static bool write_sealed(UNUSED void *context, const void *data, size_t len, UNUSED struct err *error) {
    memcpy(sealed + sealed_len, data, len);
    sealed_len += len;
    return true;
}

static void seal_to(const struct seal_identity *identity) {
    struct seal_recipients recipients = {.count = 1};
    size_t at = 0;
    const struct seal_source source = {.read = read_image, .context = &at};
    const struct seal_sink sink = {.write = write_sealed};
    sealed_len = 0;
    assert_true(seal_identity_recipient(identity, &recipients.items[0], &err));
    assert_true(seal_seal(&recipients, &source, &sink, &err));
}

static void write_identity(const struct seal_identity *identity, mode_t mode) {
    char line[SEAL_TEXT_SIZE + 1];
    seal_identity_text(identity, identity_text);
    snprintf(line, sizeof(line), "%s\n", identity_text);
    snprintf(identity_path, sizeof(identity_path), "%s", in_folder("identity"));
    (void)unlink(identity_path);
    write_file(identity_path, line, strlen(line), mode);
}

static int set_up(void **state) {
    struct seal_identity identity;
    err = (struct err){0};
    for (size_t i = 0; i < sizeof(image); i++)
        image[i] = (char)((i * 2654435761u) >> 11);
    if (folder_make(state) != 0 || !seal_identity_generate(&identity, &err) || !hash_sha256_hex(image, sizeof(image), sha256, &err))
        return -1;
    seal_to(&identity);
    write_identity(&identity, 0400);
    settings = (struct agent_settings){.seal_identity = identity_path};
    write_text(in_folder("a"), "running");
    write_text(in_folder("b"), "");
    return 0;
}

static struct release signed_release(void) {
    return (struct release){.path = "demo/1.0.0/f",
                            .length = (int64_t)sealed_len,
                            .sha256 = SHA_A, /* verified before, by others */
                            .encryption = RELEASE_AGE,
                            .plain_length = LENGTH,
                            .plain_sha256 = sha256};
}

static int open_sealed(void) {
    write_file(in_folder("image"), sealed, sealed_len, 0600);
    int fd = open(in_folder("image"), O_RDONLY);
    assert_true(fd >= 0);
    return fd;
}

static bool install(const struct release *release) {
    int fd = open_sealed();
    bool ok = agent_install_slot(&settings, fd, release, in_folder("b"), in_folder("a"), &err);
    close(fd);
    return ok;
}

static void refused(const struct release *release, enum err_code code) {
    err = (struct err){0};
    assert_false(install(release));
    assert_int_equal(err.code, code);
    assert_null(strstr(err.text, identity_text + 20));
}

static void test_opens_into_the_slot(UNUSED void **state) {
    static char found[LENGTH + 2];
    const struct release release = signed_release();
    assert_true(install(&release));
    assert_int_equal(read_file(in_folder("b"), found, sizeof(found)), LENGTH);
    assert_memory_equal(found, image, LENGTH);
}

static void test_opened_length_and_hash_are_the_signed_ones(UNUSED void **state) {
    struct release release = signed_release();
    release.plain_length = LENGTH - 1;
    refused(&release, ERR_DECRYPT);
    release.plain_length = LENGTH + 1;
    refused(&release, ERR_DECRYPT);
    release = signed_release();
    release.plain_sha256 = SHA_B;
    refused(&release, ERR_HASH);
}

static void test_changed_cut_extended_reordered(UNUSED void **state) {
    static char whole[SEALED_MAX];
    const struct release release = signed_release();
    size_t len = sealed_len, body = len - (LENGTH + 3 * 16); /* where the chunks begin */
    memcpy(whole, sealed, len);
    const size_t places[] = {0, 30, 60, 150, body - 1, body, body + SEALED_CHUNK, len - 1};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        memcpy(sealed, whole, len);
        sealed[places[i]] ^= 1;
        refused(&release, ERR_DECRYPT);
    }
    const size_t cuts[] = {0, 1, 100, body - 1, body, body + SEALED_CHUNK - 1, body + SEALED_CHUNK, body + 2 * SEALED_CHUNK, len - 1};
    memcpy(sealed, whole, len);
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        sealed_len = cuts[i];
        refused(&release, ERR_DECRYPT);
    }
    sealed_len = len + 1;
    refused(&release, ERR_DECRYPT);
    sealed_len = len;
    memcpy(sealed + body, whole + body + SEALED_CHUNK, SEALED_CHUNK); /* second chunk first */
    memcpy(sealed + body + SEALED_CHUNK, whole + body, SEALED_CHUNK);
    refused(&release, ERR_DECRYPT);
    memcpy(sealed, whole, len);
    memmove(sealed + body, whole + body + SEALED_CHUNK, len - body - SEALED_CHUNK); /* the first is gone */
    sealed_len = len - SEALED_CHUNK;
    refused(&release, ERR_DECRYPT);
    memcpy(sealed, whole, len);
    sealed_len = len;
    assert_true(install(&release));
}

static void test_chunks_of_another_sealed_file(UNUSED void **state) {
    static char other[SEALED_MAX];
    struct seal_identities identities;
    const struct release release = signed_release();
    size_t body = sealed_len - (LENGTH + 3 * 16);
    memcpy(other, sealed, sealed_len);
    assert_true(seal_identities_read(identity_path, &identities, &err));
    seal_to(&identities.items[0]); /* the same image for the same device, sealed anew */
    memcpy(sealed + body, other + body, SEALED_CHUNK);
    refused(&release, ERR_DECRYPT);
}

static void test_for_another_device(UNUSED void **state) {
    struct seal_identity other;
    const struct release release = signed_release();
    assert_true(seal_identity_generate(&other, &err));
    write_identity(&other, 0400);
    refused(&release, ERR_DECRYPT);
}

static void test_signed_as_sealed_but_plain(UNUSED void **state) {
    memcpy(sealed, image, LENGTH);
    sealed_len = LENGTH;
    const struct release release = signed_release();
    refused(&release, ERR_DECRYPT);
}

static void test_identity_file(UNUSED void **state) {
    struct seal_identity identity;
    const struct release release = signed_release();
    assert_true(agent_unseal_examine(&settings, &err));
    assert_int_equal(chmod(identity_path, 0440), 0);
    assert_false(agent_unseal_examine(&settings, &err));
    assert_int_equal(err.code, ERR_KEY);
    refused(&release, ERR_KEY);
    assert_int_equal(chmod(identity_path, 0404), 0);
    refused(&release, ERR_KEY);
    assert_true(seal_identity_generate(&identity, &err));
    write_identity(&identity, 0600);
    assert_int_equal(truncate(identity_path, 20), 0);
    refused(&release, ERR_KEY);
    assert_int_equal(truncate(identity_path, 0), 0);
    refused(&release, ERR_KEY);
    settings.seal_identity = NULL;
    assert_true(agent_unseal_examine(&settings, &err));
    refused(&release, ERR_DECRYPT);
}

static void test_for_an_installer_a_file_or_nothing(UNUSED void **state) {
    static char found[LENGTH + 2];
    struct release release = signed_release();
    struct stat info;
    int fd = open_sealed();
    write_text(in_folder("opened"), "left by a killed process");
    assert_int_equal(chmod(in_folder("opened"), 0600), 0);
    assert_true(agent_unseal_file(&settings, fd, in_folder("opened"), &release, &err));
    assert_int_equal(stat(in_folder("opened"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(read_file(in_folder("opened"), found, sizeof(found)), LENGTH);
    assert_memory_equal(found, image, LENGTH);
    release.plain_sha256 = SHA_B;
    assert_false(agent_unseal_file(&settings, fd, in_folder("opened"), &release, &err));
    assert_int_equal(err.code, ERR_HASH);
    assert_false(file_exists(in_folder("opened")));
    assert_int_equal(ftruncate(open(in_folder("image"), O_WRONLY), (off_t)sealed_len - 1), 0);
    release = signed_release();
    assert_false(agent_unseal_file(&settings, fd, in_folder("opened"), &release, &err));
    assert_int_equal(err.code, ERR_DECRYPT);
    assert_false(file_exists(in_folder("opened")));
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_opens_into_the_slot, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_opened_length_and_hash_are_the_signed_ones, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_changed_cut_extended_reordered, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_chunks_of_another_sealed_file, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_for_another_device, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_signed_as_sealed_but_plain, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_identity_file, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_for_an_installer_a_file_or_nothing, set_up, folder_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
