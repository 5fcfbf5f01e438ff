/* kill -9 in the middle of the work, again and again: what was acknowledged is there, once; what was not has left nothing behind. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/random.h"
#include "common/text.h"
#include "tests/unit/db_fixture.h"

enum { ROUNDS = 20, WRITERS = 3, MAX_ACKS = 200000 };

/* What a child says that it was promised: an event's number, or an image's. One write(2) of a whole record is never torn in a pipe. */
struct ack {
    char kind; /* 'e' or 'i' */
    int32_t number;
};

struct child {
    struct db *db;
    int pipe;
    int32_t base;
    int index;
};

static bool run_numbered(struct db_conn *tx, void *arg, struct err *err) {
    const int32_t *number = arg;
    char text[16];
    struct chain_row row = {.time = NOW, .actor = "system", .action = "write", .object = text};

    snprintf(text, sizeof text, "%d", *number);
    return db_event_insert(tx, NOW, "numbered", NULL, text, err) && db_audit_append(tx, &row, err);
}

static void acknowledge(const struct child *child, char kind, int32_t number) {
    struct ack ack;

    memset(&ack, 0, sizeof ack);
    ack.kind = kind;
    ack.number = number;
    if (write(child->pipe, &ack, sizeof ack) != (ssize_t)sizeof ack)
        _exit(3);
}

static void *write_events(void *arg) {
    const struct child *child = arg;
    struct err err;

    for (int32_t i = 0;; i++) {
        int32_t number = child->base + i * WRITERS + child->index;

        if (db_write(child->db, run_numbered, &number, &err))
            acknowledge(child, 'e', number);
        else
            _exit(2);
    }
}

static void image_text(int32_t number, char text[32], char sha256[DB_SHA256_SIZE]) {
    struct err err;

    snprintf(text, 32, "image %d", number);
    if (!hash_sha256_hex(text, strlen(text), sha256, &err))
        abort();
}

static void *write_images(void *arg) {
    const struct child *child = arg;
    char text[32], sha256[DB_SHA256_SIZE];
    struct err err;

    for (int32_t number = child->base;; number++) {
        struct image_args args = {.upload = NULL};

        image_text(number, text, sha256);
        if (!db_image_begin(child->db, sha256, (int64_t)strlen(text), &args.upload, &err) || !db_image_write(args.upload, text, strlen(text), &err) ||
            !db_write(child->db, run_image, &args, &err))
            _exit(2);
        acknowledge(child, 'i', number);
    }
}

static void child_main(const char *folder, int pipe, int32_t base) {
    struct db_options options = {.folder = folder};
    struct child children[WRITERS + 1];
    pthread_t thread;
    struct db *db;
    struct err err;

    if (!db_open(&options, &db, &err))
        _exit(1);
    for (int i = 0; i <= WRITERS; i++) {
        children[i] = (struct child){.db = db, .pipe = pipe, .base = base, .index = i};
        if (pthread_create(&thread, NULL, i < WRITERS ? write_events : write_images, &children[i]) != 0)
            _exit(1);
    }
    pause();
}

/* Starts a child, kills it after a while, and returns what it was promised. */
static size_t one_round(const char *folder, int32_t base, struct ack *acks, size_t count) {
    int ends[2], status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        child_main(folder, ends[1], base);
        _exit(1);
    }
    close(ends[1]);
    /* The clock starts at the first promise, so that slow machines are killed at work too. */
    if (read(ends[0], &acks[count], sizeof *acks) == (ssize_t)sizeof *acks)
        count++;
    clock_sleep_ms((int64_t)random_below(150));
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (count < MAX_ACKS && read(ends[0], &acks[count], sizeof *acks) == (ssize_t)sizeof *acks)
        count++;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status)); /* it did not end by itself */
    return count;
}

static void collect_numbers(struct store *store, uint8_t *seen, size_t size) {
    struct db_event_filter filter = {.kind = "numbered"};
    struct db_events page;
    char after[64] = "";
    int64_t number;
    struct err err;

    do {
        struct arena arena;

        arena_init(&arena, 64 << 20);
        assert_ok(db_event_list(store->reader, &filter, PAGE_AFTER(after, DB_MAX_PAGE), &arena, &page, &err), err);
        for (size_t i = 0; i < page.count; i++) {
            assert_true(text_to_int(page.items[i].detail, 0, (int64_t)size - 1, &number));
            assert_int_equal(seen[number]++, 0); /* never twice */
        }
        assert_true(text_copy(after, sizeof after, page.next ? page.next : ""));
        arena_clear(&arena);
    } while (after[0]);
}

static void check_image(struct store *store, int32_t number) {
    char text[32], sha256[DB_SHA256_SIZE];
    struct db_image image;
    int64_t size;
    int fd;
    struct err err;

    image_text(number, text, sha256);
    assert_ok(db_image_get(store->reader, sha256, &image, &err), err);
    assert_ok(db_image_open(store->db, sha256, &fd, &size, &err), err);
    assert_int_equal(size, strlen(text));
    close(fd);
}

static void test_kill(void **state) {
    enum { STEP = 100000, NUMBERS = ROUNDS * STEP };
    static struct ack acks[MAX_ACKS];
    uint8_t *seen = calloc(NUMBERS, 1);
    struct store store = {.fatal_count = 0};
    size_t count = 0;
    int64_t rows;
    struct err err;

    (void)state;
    assert_non_null(seen);
    temporary_folder(store.folder);
    for (int round = 0; round < ROUNDS; round++) {
        size_t before = count;

        count = one_round(store.folder, round * STEP, acks, count);
        assert_true(count > before);
    }
    store_reopen(&store);
    collect_numbers(&store, seen, NUMBERS);
    for (size_t i = 0; i < count; i++)
        if (acks[i].kind == 'i')
            check_image(&store, acks[i].number);
        else if (!seen[acks[i].number])
            fail_msg("write %d was acknowledged and is lost", acks[i].number);
    assert_ok(db_audit_verify(store.reader, &rows, &err), err);
    assert_int_equal(count_files(&store, "tmp"), 0);
    printf("%zu acknowledged writes over %d kills, %lld audit rows\n", count, ROUNDS, (long long)rows);
    store_shut(&store);
    temporary_remove(store.folder);
    free(seen);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
