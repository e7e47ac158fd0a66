/*
 * What a program asks of the kernel, each by the word in argv[1]:
 *
 *   words    prints argv and $VALUE, exits with argv[2]
 *   clock    time goes on, sleeping takes at least as long as asked, the wall clock knows the year
 *   cpus     how many there are; threads run on all of them at once
 *   simd     registers outlive system calls and switches of threads
 *   input    echoes a line of standard input
 *   output   prints 100,000 bytes
 *   unknown  asks for system calls that are not there
 *   odds     random bytes, names, limits, what is refused
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tests/kernel/guest/require.h"

static int words(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("[%s]", argv[i]);
    const char *value = getenv("VALUE");
    printf("{%s}\n", value ? value : "none");
    return argc > 2 ? atoi(argv[2]) : 0;
}

static long nanoseconds(int clock)
{
    struct timespec t;
    REQUIRE(clock_gettime(clock, &t) == 0 && t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static int clocks(void)
{
    long last = nanoseconds(CLOCK_MONOTONIC);
    for (int i = 0; i < 1000; i++) {
        long next = nanoseconds(CLOCK_MONOTONIC);
        REQUIRE(next >= last);
        last = next;
    }
    for (int i = 1; i <= 4; i++) {
        long before = nanoseconds(CLOCK_MONOTONIC);
        REQUIRE(usleep((unsigned)i * 5000) == 0);
        REQUIRE(nanoseconds(CLOCK_MONOTONIC) - before >= i * 5000000);
    }
    struct timespec until;
    REQUIRE(clock_gettime(CLOCK_REALTIME, &until) == 0);
    REQUIRE(until.tv_sec > 1735689600 && until.tv_sec < 4102444800); /* 2025, 2100 */
    until.tv_nsec = (until.tv_nsec + 20000000) % 1000000000;
    if (until.tv_nsec < 20000000)
        until.tv_sec++;
    REQUIRE(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL) == 0);
    long now = nanoseconds(CLOCK_REALTIME);
    REQUIRE(now >= until.tv_sec * 1000000000 + until.tv_nsec);
    struct timeval day;
    REQUIRE(gettimeofday(&day, NULL) == 0 && day.tv_sec >= until.tv_sec && day.tv_usec < 1000000);
    REQUIRE(clock_gettime(99, &until) == -1 && errno == EINVAL);
    printf("wall %ld\n", (long)time(NULL));
    return 0;
}

static _Atomic(int) together;
static int wanted;

static void *meet(void *argument)
{
    (void)argument;
    together++;
    while (together < wanted) /* never ends unless all run at once, or are preempted */
        ;
    return NULL;
}

static int processors(void)
{
    cpu_set_t set;
    pthread_t threads[64];
    REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
    wanted = CPU_COUNT(&set);
    REQUIRE(wanted == sysconf(_SC_NPROCESSORS_ONLN));
    for (int i = 0; i < wanted; i++)
        REQUIRE(pthread_create(&threads[i], NULL, meet, NULL) == 0);
    for (int i = 0; i < wanted; i++)
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    printf("cpus %d\n", wanted);
    return 0;
}

/* Loads all SSE registers from `from`, makes a system call, stores them to `to`. */
static void simd_across(const double *from, double *to, long call)
{
    __asm__ volatile("movupd (%1), %%xmm0; movupd 16(%1), %%xmm1; movupd 32(%1), %%xmm6; movupd 48(%1), %%xmm7\n"
                     "movupd 64(%1), %%xmm8; movupd 80(%1), %%xmm13; movupd 96(%1), %%xmm14; movupd 112(%1), %%xmm15\n"
                     "syscall\n"
                     "movupd %%xmm0, (%2); movupd %%xmm1, 16(%2); movupd %%xmm6, 32(%2); movupd %%xmm7, 48(%2)\n"
                     "movupd %%xmm8, 64(%2); movupd %%xmm13, 80(%2); movupd %%xmm14, 96(%2); movupd %%xmm15, 112(%2)\n"
                     : "+a"(call)
                     : "r"(from), "r"(to)
                     : "rcx", "r11", "memory", "xmm0", "xmm1", "xmm6", "xmm7", "xmm8", "xmm13", "xmm14", "xmm15");
}

static void *simd_thread(void *argument)
{
    double mine[16], back[16];
    unsigned control = 0x1f80 | ((unsigned)(long)argument & 3) << 13, now; /* a rounding mode of its own */
    __asm__ volatile("ldmxcsr %0" : : "m"(control));
    for (int i = 0; i < 16; i++)
        mine[i] = (double)((long)argument * 100 + i);
    for (int i = 0; i < 300; i++) {
        memset(back, 0, sizeof back);
        simd_across(mine, back, i % 2 ? SYS_sched_yield : SYS_getppid);
        REQUIRE(memcmp(mine, back, sizeof mine) == 0);
        __asm__ volatile("stmxcsr %0" : "=m"(now));
        REQUIRE((now & 0xffc0) == control);
    }
    return NULL;
}

static int simd(void)
{
    pthread_t threads[4];
    for (long i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, simd_thread, (void *)i) == 0);
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    return 0;
}

static int input(void)
{
    char line[100];
    printf("say something\n");
    REQUIRE(fgets(line, sizeof line, stdin));
    printf("heard %s", line);
    return 0;
}

static int output(void)
{
    for (int i = 0; i < 10000; i++)
        printf("%08d:\n", i);
    return 0;
}

static int unknown(void)
{
    REQUIRE(syscall(401) == -1 && errno == ENOSYS);
    REQUIRE(syscall(401) == -1 && errno == ENOSYS);
    REQUIRE(syscall(77) == -1 && errno == ENOSYS);
    REQUIRE(syscall(100000) == -1 && errno == ENOSYS);
    return 0;
}

static int odds(void)
{
    char a[40] = {0}, b[40] = {0};
    struct utsname name;
    struct rlimit limit;
    struct stat stat;
    REQUIRE(getrandom(a, sizeof a, 0) == sizeof a && getrandom(b, sizeof b, 0) == sizeof b);
    REQUIRE(memcmp(a, b, 8) != 0 && memcmp(a, a + 8, 8) != 0);
    REQUIRE(uname(&name) == 0 && strcmp(name.sysname, "weir") == 0 && strcmp(name.machine, "x86_64") == 0);
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 0);
    REQUIRE(getpid() == 1 && isatty(1) && fstat(1, &stat) == 0 && S_ISCHR(stat.st_mode));
    REQUIRE(open("/etc/passwd", O_RDONLY) == -1 && errno == ENOENT);
    REQUIRE(fopen("/tmp/x", "w") == NULL && lseek(1, 0, SEEK_CUR) == -1 && errno == ESPIPE);
    REQUIRE(write(7, "x", 1) == -1 && errno == EBADF);
    REQUIRE(fork() == -1);
    char *hidden = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(write(1, NULL, 5) == -1 && errno == EFAULT);
    REQUIRE(write(1, hidden, 5) == -1 && errno == EFAULT);
    REQUIRE(mprotect(hidden + 4096, 4096, PROT_READ | PROT_WRITE) == 0);
    hidden[4096] = 'x';
    REQUIRE(write(1, hidden + 4095, 2) == -1 && errno == EFAULT);
    REQUIRE(write(1, (char *)0x123456789000, 5) == -1 && errno == EFAULT);
    REQUIRE(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (void *)odds) == -1 && errno == EFAULT);
    pthread_attr_t attributes;
    REQUIRE(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 1 << 20) == 0);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } all[] = {{"clock", clocks},  {"cpus", processors}, {"simd", simd}, {"input", input},
               {"output", output}, {"unknown", unknown}, {"odds", odds}};
    for (size_t i = 0; argc > 1 && i < sizeof all / sizeof *all; i++)
        if (strcmp(argv[1], all[i].name) == 0) {
            int result = all[i].run();
            printf("%s done\n", argv[1]);
            return result;
        }
    return words(argc, argv);
}
