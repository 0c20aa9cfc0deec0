/* Preloaded into a server that runs under valgrind, which slows it down some fifty times: slows
 * the monotonic clock down as well. Calls that are quick are so still quick to the executor, and
 * stay on the IO thread, where they are counted as they run without valgrind. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* More than valgrind's own factor, as other programs may hold it up. */
#define FACTOR 1000
#define SECOND 1000000000LL

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int status = (int)syscall(SYS_clock_gettime, clock, time);

    if (status == 0 && clock == CLOCK_MONOTONIC) {
        long long slowed = (time->tv_sec * SECOND + time->tv_nsec) / FACTOR;
        time->tv_sec = slowed / SECOND;
        time->tv_nsec = slowed % SECOND;
    }

    return status;
}
