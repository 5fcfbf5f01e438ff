#include "server/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/file.h"

#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#endif
#ifdef LANDLOCK_ACCESS_FS_REFER
#define HAVE_LANDLOCK 1
#else
#define HAVE_LANDLOCK 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

bool sandbox_early(struct err *err) {
    umask(077);
    const struct rlimit none = {0, 0};
    struct rlimit files;
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_errno(err, "cannot give up core files and new privileges");
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return err_errno(err, "cannot read the limit of open files");
    files.rlim_cur = files.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &files) == 0 ? true : err_errno(err, "cannot raise the limit of open files");
}

#if HAVE_LANDLOCK

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITES                                                                                                                                       \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                  \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER)
#define OTHERS                                                                                                                                       \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                       \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* A folder that is not there needs no rule. */
static bool allow(int rules, const char *folder, uint64_t access, struct err *err) {
    int fd CLEANUP(file_close) = open(folder, O_PATH | O_CLOEXEC | O_DIRECTORY);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? true : err_errno(err, "%s", folder);
    const struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        return err_errno(err, "Landlock rule for %s", folder);
    return true;
}

/* The folder of a file that SIGHUP reads again. */
static bool allow_parent(int rules, const char *file, struct err *err) {
    char folder[4096];
    if (file == NULL)
        return true;
    const char *slash = strrchr(file, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - file);
    if (len >= sizeof(folder))
        return err_set(err, ERR_CONFIG, "path too long: %.64s…", file);
    memcpy(folder, file, len);
    folder[len] = '\0';
    return allow(rules, slash == NULL ? "." : len == 0 ? "/" : folder, READS, err);
}

bool sandbox_files(const struct server_config *config, const char *config_file, bool *ret_active, struct err *err) {
    static const char *const system_folders[] = {"/etc", "/usr", "/lib", "/lib64", "/proc", "/sys", "/dev", "/run/systemd/resolve"};
    const struct landlock_ruleset_attr attr = {.handled_access_fs = READS | WRITES | OTHERS};
    *ret_active = false;
    /* The first version forbids every rename from one folder to another: an image could never leave tmp/. */
    if (SANITIZED || syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 2)
        return true;
    int rules CLEANUP(file_close) = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (rules < 0)
        return err_errno(err, "Landlock");
    const char *const files[] = {config_file,
                                 config->tls.certificate,
                                 config->tls.key,
                                 config->tls.device_ca,
                                 config->tls.device_crl,
                                 config->tls.admin_ca,
                                 config->tls.admin_crl,
                                 config->enrolment.ca_certificate,
                                 config->enrolment.ca_key,
                                 config->enrolment.factory_ca,
                                 config->enrolment.factory_crl,
                                 config->webhooks.ca_file,
                                 config->enrolment.ca_key == NULL               ? NULL
                                 : config->enrolment.ca_passphrase_file != NULL ? config->enrolment.ca_passphrase_file
                                                                                : config->trust.passphrase_file};
    for (size_t i = 0; i < ARRAY_LEN(system_folders); i++)
        if (!allow(rules, system_folders[i], READS, err))
            return false;
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (!allow_parent(rules, files[i], err))
            return false;
    /* The keys of a new root are read when it is published. */
    if (config->trust.next_keys != NULL &&
        (!allow(rules, config->trust.next_keys, READS, err) || !allow_parent(rules, config->trust.passphrase_file, err)))
        return false;
    if (config->store.backups != NULL && !allow(rules, config->store.backups, READS | WRITES, err))
        return false;
    if (!allow(rules, config->store.data, READS | WRITES, err))
        return false;
    if (syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        return err_errno(err, "Landlock");
    *ret_active = true;
    return true;
}

#else

bool sandbox_files(const struct server_config *config, const char *config_file, bool *ret_active, struct err *err) {
    (void)config;
    (void)config_file;
    (void)err;
    *ret_active = false;
    return true;
}

#endif

/* What serving needs: files of the store, sockets, time. No execve, no ptrace, no mount. What is allowed under conditions stands in
 * allow_some(). */
static const int allowed[] = {
    /* bytes */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(dup),
    SCMP_SYS(fcntl),
    SCMP_SYS(ioctl),
    SCMP_SYS(sendfile),
    SCMP_SYS(splice),
    /* files */
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(openat2),
    SCMP_SYS(stat),
    SCMP_SYS(fstat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(link),
    SCMP_SYS(linkat),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(sync_file_range),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fadvise64),
    SCMP_SYS(flock),
    SCMP_SYS(getdents64),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    SCMP_SYS(chmod),
    SCMP_SYS(fchown),
    SCMP_SYS(utimensat),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(umask),
    /* memory */
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(mprotect),
    SCMP_SYS(madvise),
    SCMP_SYS(msync),
    SCMP_SYS(mincore),
    SCMP_SYS(brk),
    SCMP_SYS(mlock),
    SCMP_SYS(munlock),
    SCMP_SYS(membarrier),
    /* threads and signals */
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(get_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(tgkill),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(arch_prctl),
    SCMP_SYS(prctl),
    /* time */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_gettime),
    /* waiting */
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),
    /* sockets */
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(shutdown),
    /* what some of these are called on 32-bit machines */
    SCMP_SYS(mmap2),
    SCMP_SYS(_llseek),
    SCMP_SYS(_newselect),
    SCMP_SYS(fcntl64),
    SCMP_SYS(stat64),
    SCMP_SYS(fstat64),
    SCMP_SYS(fstatat64),
    SCMP_SYS(lstat64),
    SCMP_SYS(statfs64),
    SCMP_SYS(fstatfs64),
    SCMP_SYS(ftruncate64),
    SCMP_SYS(sendfile64),
    SCMP_SYS(arm_fadvise64_64),
    SCMP_SYS(arm_sync_file_range),
    SCMP_SYS(fadvise64_64),
    SCMP_SYS(ugetrlimit),
    SCMP_SYS(getuid32),
    SCMP_SYS(geteuid32),
    SCMP_SYS(getgid32),
    SCMP_SYS(getegid32),
    SCMP_SYS(fchown32),
    SCMP_SYS(send),
    SCMP_SYS(recv),
    SCMP_SYS(socketcall),
    SCMP_SYS(sigreturn),
    SCMP_SYS(clock_gettime64),
    SCMP_SYS(clock_getres_time64),
    SCMP_SYS(clock_nanosleep_time64),
    SCMP_SYS(futex_time64),
    SCMP_SYS(ppoll_time64),
    SCMP_SYS(pselect6_time64),
    SCMP_SYS(recvmmsg_time64),
    SCMP_SYS(rt_sigtimedwait_time64),
    SCMP_SYS(timerfd_settime64),
    SCMP_SYS(timerfd_gettime64),
    SCMP_SYS(utimensat_time64),
    /* the machine */
    SCMP_SYS(getrandom),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getrlimit),
    SCMP_SYS(prlimit64),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(getrusage),
    SCMP_SYS(times),
};

static void release(scmp_filter_ctx *filter) {
    if (*filter != NULL)
        seccomp_release(*filter);
}

/* Threads, but no process: clone3, whose flags a filter cannot see, is left to the C library's falling back. connect: for webhooks. */
static int allow_some(scmp_filter_ctx filter, bool connects) {
    int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    if (result == 0 && connects)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0);
    return result;
}

bool sandbox_syscalls(bool connects, bool *ret_active, struct err *err) {
    *ret_active = false;
    if (SANITIZED)
        return true;
    /* ENOSYS, because the C library then falls back to an older call. */
    scmp_filter_ctx filter CLEANUP(release) = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (filter == NULL)
        return err_set(err, ERR_INTERNAL, "libseccomp does not start");
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        /* A call that this architecture does not have cannot be allowed on it. */
        int result = allowed[i] < 0 ? 0 : seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
        if (result != 0)
            return err_set(err, ERR_INTERNAL, "seccomp rule %zu: %s", i, strerror(-result));
    }
    int result = allow_some(filter, connects);
    if (result != 0)
        return err_set(err, ERR_INTERNAL, "seccomp rule of clone or connect: %s", strerror(-result));
    result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0)
        result = seccomp_load(filter);
    *ret_active = result == 0;
    return result == 0 || result == -ENOSYS || result == -EINVAL || result == -EOPNOTSUPP
               ? true
               : err_set(err, ERR_INTERNAL, "seccomp: %s", strerror(-result));
}
