/* fsync() of the program that includes this fails when it is told to: what is acknowledged must be on the disk. */
#ifndef PAWL_TESTS_UNIT_SYNC_FAULT_H
#define PAWL_TESTS_UNIT_SYNC_FAULT_H

#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int sync_fault_at; /* the nth call from now; 0: none */

int fsync(int fd) {
    if (atomic_load(&sync_fault_at) > 0 && atomic_fetch_sub(&sync_fault_at, 1) == 1) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

#endif
