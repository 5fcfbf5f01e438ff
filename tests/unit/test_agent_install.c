/* Slots: what is written is what is read back, and the slot that runs is never written. */
#include "agent_common.h"

#include <errno.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "agent/install.h"
#include "common/hash.h"

/* A medium that loses a bit: strikes between the write and the reading back. Stands before the C library's fsync(). */
static int64_t flip_at = -1, cut_at = -1;

int fsync(int fd) {
    char byte;
    if (flip_at >= 0 && lseek(fd, flip_at, SEEK_SET) == flip_at) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        int other = open(path, O_RDWR);
        assert_int_equal(pread(other, &byte, 1, flip_at), 1);
        byte ^= 1;
        assert_int_equal(pwrite(other, &byte, 1, flip_at), 1);
        close(other);
        flip_at = -1;
    }
    if (cut_at >= 0) {
        assert_int_equal(ftruncate(fd, cut_at), 0);
        cut_at = -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

enum { LENGTH = (1 << 20) * 2 + 12345 };
static struct err err;
static char image[LENGTH];
static char sha256[SHA256_HEX_SIZE];

static int set_up(void **state) {
    for (size_t i = 0; i < sizeof(image); i++)
        image[i] = (char)((i * 2654435761u) >> 13);
    flip_at = cut_at = -1;
    if (folder_make(state) != 0 || !hash_sha256_hex(image, sizeof(image), sha256, &err))
        return -1;
    write_text(in_folder("b"), "");
    return 0;
}

static int open_image(void) {
    write_file(in_folder("image"), image, sizeof(image), 0600);
    int fd = open(in_folder("image"), O_RDONLY);
    assert_true(fd >= 0);
    return fd;
}

static const struct agent_settings no_settings;

static bool install_bytes(int64_t length, const char *slot, const char *running) {
    const struct release release = {.path = "demo/1.0.0/f", .length = length, .sha256 = sha256, .plain_length = length, .plain_sha256 = sha256};
    int fd = open_image();
    bool ok = agent_install_slot(&no_settings, fd, &release, slot, running, &err);
    close(fd);
    return ok;
}

static bool install(const char *slot, const char *running) {
    return install_bytes(LENGTH, slot, running);
}

static void test_writes_a_slot_shorter_and_longer_before(UNUSED void **state) {
    static char found[LENGTH + 2];
    write_text(in_folder("a"), "running");
    assert_true(install(in_folder("b"), in_folder("a")));
    assert_int_equal(read_file(in_folder("b"), found, sizeof(found)), LENGTH);
    assert_memory_equal(found, image, LENGTH);
    write_file(in_folder("b"), found, LENGTH + 1, 0600);
    assert_true(install(in_folder("b"), in_folder("a")));
    assert_int_equal(read_file(in_folder("b"), found, sizeof(found)), LENGTH);
    assert_int_equal(read_file(in_folder("a"), found, sizeof(found)), 7);
}

static void test_a_flipped_bit_on_the_medium_is_seen(UNUSED void **state) {
    const int64_t places[] = {0, 4095, 1 << 20, LENGTH - 1};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        flip_at = places[i];
        assert_false(install(in_folder("b"), in_folder("a")));
        assert_int_equal(err.code, ERR_HASH);
        assert_int_equal(flip_at, -1);
    }
    assert_true(install(in_folder("b"), in_folder("a")));
}

static void test_a_slot_cut_short_is_seen(UNUSED void **state) {
    cut_at = LENGTH - 1;
    assert_false(install(in_folder("b"), in_folder("a")));
    assert_int_equal(err.code, ERR_LENGTH);
}

static void test_bytes_behind_the_image_do_not_count(UNUSED void **state) {
    static char longer[LENGTH + 5000];
    memcpy(longer, image, LENGTH);
    write_file(in_folder("b"), longer, sizeof(longer), 0600);
    assert_true(agent_install_compare(in_folder("b"), LENGTH, sha256, &err)); /* as on a block device */
    assert_false(agent_install_compare(in_folder("b"), LENGTH + 1, sha256, &err));
    assert_int_equal(err.code, ERR_HASH);
}

static void test_the_running_slot_is_never_written(UNUSED void **state) {
    char found[32];
    write_text(in_folder("a"), "running");
    assert_int_equal(link(in_folder("a"), in_folder("hard")), 0);
    assert_int_equal(symlink(in_folder("a"), in_folder("soft")), 0);
    const char *const names[] = {"a", "hard", "soft"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_false(install(in_folder(names[i]), in_folder("a")));
        assert_int_equal(err.code, ERR_INSTALL);
    }
    assert_int_equal(read_file(in_folder("a"), found, sizeof(found)), 7);
    assert_string_equal(found, "running");
}

static void test_a_slot_that_is_no_medium(UNUSED void **state) {
    assert_int_equal(mkdir(in_folder("dir"), 0700), 0);
    assert_false(install(in_folder("dir"), in_folder("a")));
    assert_int_equal(err.code, ERR_INSTALL);
    assert_false(install("/dev/null", in_folder("a")));
    assert_int_equal(err.code, ERR_INSTALL);
    assert_false(install("/dev/full", in_folder("a")));
    assert_int_equal(err.code, ERR_INSTALL);
    /* A partition that has not appeared yet: a file in its place would read back well, and never boot. */
    assert_false(install(in_folder("missing"), in_folder("a")));
    assert_int_equal(err.code, ERR_INSTALL);
    assert_int_equal(access(in_folder("missing"), F_OK), -1);
}

enum { DEVICE_BYTES = 4 << 20 };

/* A block device over a file of the folder, as long as *ret_fd is open. False where this machine lets nobody have one. */
static bool make_block_device(char ret_node[32], int *ret_fd) {
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int number = control >= 0 ? ioctl(control, LOOP_CTL_GET_FREE) : -1;
    if (control >= 0)
        close(control);
    write_text(in_folder("medium"), "");
    assert_int_equal(truncate(in_folder("medium"), DEVICE_BYTES), 0);
    int backing = open(in_folder("medium"), O_RDWR | O_CLOEXEC);
    snprintf(ret_node, 32, "/dev/loop%d", number);
    int fd = number >= 0 ? open(ret_node, O_RDWR | O_CLOEXEC) : -1;
    const struct loop_config config = {.fd = (unsigned)backing, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
    bool made = fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) == 0;
    close(backing);
    if (!made && fd >= 0)
        close(fd);
    *ret_fd = fd;
    return made;
}

static void test_a_block_device(UNUSED void **state) {
    static char found[LENGTH];
    char node[32], behind[8] = "BEHIND!";
    struct stat info;
    int fd = -1;
    if (!make_block_device(node, &fd)) {
        print_message("no loop device can be had here\n");
        skip();
    }
    assert_int_equal(pwrite(fd, behind, sizeof(behind), LENGTH), sizeof(behind));
    assert_true(install(node, in_folder("a")));
    assert_int_equal(pread(fd, found, LENGTH, 0), LENGTH);
    assert_memory_equal(found, image, LENGTH);
    assert_int_equal(pread(fd, found, sizeof(behind), LENGTH), sizeof(behind));
    assert_memory_equal(found, behind, sizeof(behind)); /* what is behind the image stays */
    assert_int_equal(lseek(fd, 0, SEEK_END), DEVICE_BYTES);
    assert_true(stat(node, &info) == 0 && S_ISBLK(info.st_mode));

    assert_false(install_bytes(DEVICE_BYTES + 1, node, in_folder("a")));
    assert_int_equal(err.code, ERR_NO_SPACE);
    assert_false(install(node, node));
    assert_int_equal(err.code, ERR_INSTALL);
    assert_int_equal(mknod(in_folder("other-node"), S_IFBLK | 0600, info.st_rdev), 0);
    assert_false(install(in_folder("other-node"), node));
    assert_int_equal(err.code, ERR_INSTALL);

    int holder = open(node, O_RDONLY | O_EXCL | O_CLOEXEC); /* as a mount does */
    assert_true(holder >= 0);
    assert_false(install(node, in_folder("a")));
    assert_int_equal(err.code, ERR_INSTALL);
    close(holder);
    flip_at = 4097;
    assert_false(install(node, in_folder("a")));
    assert_int_equal(err.code, ERR_HASH);
    close(fd);
}

static void test_verify_holds_length_and_hash(UNUSED void **state) {
    struct release release = {.path = "demo/1.0.0/f", .length = LENGTH, .sha256 = sha256};
    int fd = open_image();
    assert_true(agent_install_verify(fd, &release, &err));
    release.length = LENGTH + 1;
    assert_false(agent_install_verify(fd, &release, &err));
    assert_int_equal(err.code, ERR_LENGTH);
    release.length = LENGTH - 1;
    assert_false(agent_install_verify(fd, &release, &err));
    assert_int_equal(err.code, ERR_LENGTH);
    release.length = LENGTH;
    release.sha256 = SHA_A;
    assert_false(agent_install_verify(fd, &release, &err));
    assert_int_equal(err.code, ERR_HASH);
    close(fd);
}

static void test_the_image_ends_early(UNUSED void **state) {
    assert_false(install_bytes(LENGTH + 1, in_folder("b"), in_folder("a")));
    assert_int_equal(err.code, ERR_LENGTH);
}

static void test_installer_gets_the_file(UNUSED void **state) {
    char found[256], expected[256];
    char command[300];
    struct agent_settings settings = {.install_command = command, .hook_timeout_s = 10};
    const struct release release = {.path = "demo/1.0.0/f", .product = "demo", .version = "1.0.0", .sha256 = SHA_A, .sequence = 7};
    snprintf(command, sizeof(command), "/bin/sh -c 'printf \"%%s|%%s|%%s|%%s\" \"$1\" \"$PAWL_IMAGE\" \"$PAWL_VERSION\" \"$PAWL_SEQUENCE\" > %s' sh",
             in_folder("out"));
    assert_true(agent_install_command(&settings, "/tmp/an image", &release, "77", &err));
    read_file(in_folder("out"), found, sizeof(found));
    snprintf(expected, sizeof(expected), "/tmp/an image|/tmp/an image|1.0.0|7");
    assert_string_equal(found, expected);
    settings.install_command = (char[]){"/bin/false"};
    assert_false(agent_install_command(&settings, "/tmp/an image", &release, "77", &err));
    assert_int_equal(err.code, ERR_INSTALL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_writes_a_slot_shorter_and_longer_before, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_a_flipped_bit_on_the_medium_is_seen, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_a_slot_cut_short_is_seen, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_bytes_behind_the_image_do_not_count, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_the_running_slot_is_never_written, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_a_slot_that_is_no_medium, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_a_block_device, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_verify_holds_length_and_hash, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_the_image_ends_early, set_up, folder_drop),
        cmocka_unit_test_setup_teardown(test_installer_gets_the_file, set_up, folder_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
