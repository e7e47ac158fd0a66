/*
 * Names that glibc has and musl 1.2.3 has not, and that fit in no other file here.
 *
 * Three kinds: waits on a clock of the caller's choice (POSIX.1-2024; libstdc++ waits on the steady clock with them),
 * random numbers (BSD), and second names for the same function.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* --- waits on a clock --- */

#define NANOSECONDS 1000000000LL

/* The time `until` of `clock`, told in the real-time clock. musl's waits know no other; where the two drift apart
 * during the wait it ends early or late, and callers check their own clock again, as for any spurious wake. */
static int in_real_time(clockid_t clock, const struct timespec *until, struct timespec *result)
{
    struct timespec now, real;
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
        return EINVAL;
    if (until->tv_nsec < 0 || until->tv_nsec >= NANOSECONDS)
        return EINVAL;
    *result = *until;
    if (clock == CLOCK_REALTIME)
        return 0;
    clock_gettime(clock, &now);
    clock_gettime(CLOCK_REALTIME, &real);
    result->tv_sec += real.tv_sec - now.tv_sec;
    long long nanoseconds = until->tv_nsec + real.tv_nsec - (long long)now.tv_nsec;
    result->tv_sec += nanoseconds < 0 ? -1 : nanoseconds / NANOSECONDS;
    result->tv_nsec = (nanoseconds + NANOSECONDS) % NANOSECONDS;
    return 0;
}

int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock,
                           const struct timespec *until)
{
    struct timespec real;
    int error = in_real_time(clock, until, &real);
    return error ? error : pthread_cond_timedwait(condition, mutex, &real);
}

int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    struct timespec real;
    int error = in_real_time(clock, until, &real);
    return error ? error : pthread_mutex_timedlock(mutex, &real);
}

int pthread_rwlock_clockrdlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *until)
{
    struct timespec real;
    int error = in_real_time(clock, until, &real);
    return error ? error : pthread_rwlock_timedrdlock(lock, &real);
}

int pthread_rwlock_clockwrlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *until)
{
    struct timespec real;
    int error = in_real_time(clock, until, &real);
    return error ? error : pthread_rwlock_timedwrlock(lock, &real);
}

int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *until)
{
    struct timespec real;
    int error = in_real_time(clock, until, &real);
    if (error) {
        errno = error;
        return -1;
    }
    return sem_timedwait(semaphore, &real);
}

/* --- random numbers --- */

/* arc4random cannot fail: without a source of randomness the program ends, rather than go on with guessable numbers. */
void arc4random_buf(void *to, size_t n)
{
    for (char *next = to; n > 0;) {
        ssize_t got = getrandom(next, n < 256 ? n : 256, 0);
        if (got < 0 && errno != EINTR)
            abort();
        if (got > 0) {
            next += got;
            n -= (size_t)got;
        }
    }
}

uint32_t arc4random(void)
{
    uint32_t value;
    arc4random_buf(&value, sizeof value);
    return value;
}

/* Uniform below `bound`: values under 2^32 mod bound are drawn again. */
uint32_t arc4random_uniform(uint32_t bound)
{
    if (bound < 2)
        return 0;
    uint32_t value, least = -bound % bound;
    do
        value = arc4random();
    while (value < least);
    return value % bound;
}

/* --- second names --- */

int fcntl64(int file, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return fcntl(file, command, argument);
}

/* C23's numbers, as newer glibc headers spell strtol and scanf. The one difference, "0b101" in bases 0 and 2, is
 * not taken over. */
long __isoc23_strtol(const char *text, char **end, int base)
{
    return strtol(text, end, base);
}

long long __isoc23_strtoll(const char *text, char **end, int base)
{
    return strtoll(text, end, base);
}

unsigned long __isoc23_strtoul(const char *text, char **end, int base)
{
    return strtoul(text, end, base);
}

unsigned long long __isoc23_strtoull(const char *text, char **end, int base)
{
    return strtoull(text, end, base);
}

intmax_t __isoc23_strtoimax(const char *text, char **end, int base)
{
    return strtoimax(text, end, base);
}

uintmax_t __isoc23_strtoumax(const char *text, char **end, int base)
{
    return strtoumax(text, end, base);
}

int __isoc23_vsscanf(const char *text, const char *format, va_list arguments)
{
    return vsscanf(text, format, arguments);
}

int __isoc23_vfscanf(FILE *file, const char *format, va_list arguments)
{
    return vfscanf(file, format, arguments);
}

int __isoc23_sscanf(const char *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsscanf(text, format, arguments);
    va_end(arguments);
    return n;
}

int __isoc23_fscanf(FILE *file, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vfscanf(file, format, arguments);
    va_end(arguments);
    return n;
}

/* --- what a C++ program refers to without calling it --- */

/* Names the module for __cxa_atexit; the program is the only one. */
__attribute__((visibility("hidden"))) void *__dso_handle = NULL;

/* True would let libstdc++ count references without atomics until the first thread; musl does not keep it up to date.
 */
char __libc_single_threaded = 0;
