/* Preloaded into a program under test (LD_PRELOAD), moves its wall clock by PAWL_TEST_CLOCK_OFFSET_S seconds; the other clocks stay. pawld
 * refuses variables of that prefix which it does not know: for it the name is TEST_CLOCK_OFFSET_S. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static time_t offset(void) {
    const char *text = getenv("PAWL_TEST_CLOCK_OFFSET_S");
    text = text != NULL ? text : getenv("TEST_CLOCK_OFFSET_S");
    return text != NULL ? (time_t)strtoll(text, NULL, 10) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME)
        time->tv_sec += offset();
    return result;
}

/* What TLS libraries ask. */
time_t time(time_t *ret_time) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time != NULL)
        *ret_time = now.tv_sec;
    return now.tv_sec;
}
