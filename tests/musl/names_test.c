/*
 * The names that archives built for glibc want, against musl itself: a static program of its own, without the guest.
 *
 * Prints TAP by hand: cmocka is built for glibc.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void *__memcpy_chk(void *, const void *, size_t, size_t);
/* Under names that are not taken for the unchecked ones. */
char *checked_copy(char *, const char *, size_t) __asm__("__strcpy_chk");
char *checked_append(char *, const char *, size_t) __asm__("__strcat_chk");
char *__strncat_chk(char *, const char *, size_t, size_t);
char *__stpcpy_chk(char *, const char *, size_t);
int __sprintf_chk(char *, int, size_t, const char *, ...);
int __snprintf_chk(char *, size_t, int, size_t, const char *, ...);
int __asprintf_chk(char **, int, const char *, ...);
size_t __fread_chk(void *, size_t, size_t, size_t, FILE *);
_Noreturn void __longjmp_chk(jmp_buf, int);
int pthread_cond_clockwait(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
int pthread_mutex_clocklock(pthread_mutex_t *, clockid_t, const struct timespec *);
void arc4random_buf(void *, size_t);
uint32_t arc4random_uniform(uint32_t);
int fcntl64(int, int, ...);
long __isoc23_strtol(const char *, char **, int);
int __isoc23_sscanf(const char *, const char *, ...);
int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);

static int number, failures;

/* Without what follows, nothing can be tested. */
static void *must(void *made)
{
    if (made == NULL) {
        printf("Bail out! something could not be made\n");
        exit(1);
    }
    return made;
}

static void ok(int good, const char *what)
{
    printf("%sok %d - %s\n", good ? "" : "not ", ++number, what);
    failures += !good;
}

/* --- fortify --- */

static void overflow_memcpy(void)
{
    char to[8];
    __memcpy_chk(to, "0123456789", 11, sizeof to);
}

static void overflow_strcpy(void)
{
    char to[8];
    checked_copy(to, "01234567", sizeof to);
}

static void overflow_strcat(void)
{
    char to[8] = "0123";
    checked_append(to, "4567", sizeof to);
}

static void overflow_sprintf(void)
{
    char to[8];
    __sprintf_chk(to, 1, sizeof to, "%d", 12345678);
}

static void overflow_snprintf(void)
{
    char to[8];
    __snprintf_chk(to, 9, 1, sizeof to, "%d", 1);
}

static void overflow_fread(void)
{
    char to[8];
    __fread_chk(to, sizeof to, SIZE_MAX / 2, 3, stdin);
}

/* Whether `run` ends its process with SIGABRT and glibc's message. */
static int aborts(void (*run)(void))
{
    int ends[2], status;
    char message[256];
    if (pipe(ends) != 0)
        return 0;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        run();
        _exit(0);
    }
    close(ends[1]);
    ssize_t length = read(ends[0], message, sizeof message - 1);
    close(ends[0]);
    waitpid(child, &status, 0);
    message[length > 0 ? length : 0] = 0;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(message, "buffer overflow detected") != NULL;
}

static void fortify(void)
{
    char to[16], *allocated = NULL;
    ok(aborts(overflow_memcpy), "memcpy over the end of its destination ends the program");
    ok(aborts(overflow_strcpy), "strcpy, by the terminator alone");
    ok(aborts(overflow_strcat), "strcat, by what was there before");
    ok(aborts(overflow_sprintf), "sprintf");
    ok(aborts(overflow_snprintf), "snprintf that is told more room than there is");
    ok(aborts(overflow_fread), "fread of a product that overflows");
    ok(strcmp(checked_copy(to, "0123456", 8), "0123456") == 0, "a string that just fits is copied");
    ok(__sprintf_chk(to, 1, 8, "%s", "0123456") == 7 && strcmp(to, "0123456") == 0, "sprintf that just fits");
    ok(__sprintf_chk(to, 1, (size_t)-1, "%d", 42) == 2 && strcmp(to, "42") == 0, "sprintf into unknown room");
    ok(__snprintf_chk(to, 4, 1, sizeof to, "%s", "abcdef") == 6 && strcmp(to, "abc") == 0, "snprintf cuts off");
    snprintf(to, sizeof to, "ab");
    ok(strcmp(__strncat_chk(to, "cdefgh", 3, sizeof to), "abcde") == 0, "strncat appends n bytes");
    ok(__stpcpy_chk(to, "xyz", 4) == to + 3, "stpcpy points at the terminator");
    ok(__asprintf_chk(&allocated, 1, "%d-%s", 7, "x") == 3 && strcmp(allocated, "7-x") == 0, "asprintf allocates");
    free(allocated);
}

static void jumps(void)
{
    static jmp_buf where;
    static int jumps;
    int value = setjmp(where);
    if (value < 3)
        __longjmp_chk(where, ++jumps);
    ok(value == 3, "longjmp returns to setjmp with its value");
}

/* --- waits --- */

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static struct timespec in(clockid_t clock, long nanoseconds)
{
    struct timespec at;
    clock_gettime(clock, &at);
    at.tv_nsec += nanoseconds;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

static void waits(void)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    pthread_mutex_lock(&mutex);
    double before = seconds(CLOCK_MONOTONIC);
    struct timespec until = in(CLOCK_MONOTONIC, 30000000);
    int result = 0;
    while (result == 0)
        result = pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &until);
    ok(result == ETIMEDOUT && seconds(CLOCK_MONOTONIC) - before >= 0.029, "a wait on the monotonic clock times out");
    until = in(CLOCK_REALTIME, 1000);
    while ((result = pthread_cond_clockwait(&condition, &mutex, CLOCK_REALTIME, &until)) == 0)
        ;
    ok(result == ETIMEDOUT, "so does one on the real-time clock");
    ok(pthread_cond_clockwait(&condition, &mutex, CLOCK_PROCESS_CPUTIME_ID, &until) == EINVAL,
       "other clocks are refused");
    until.tv_nsec = 1000000000;
    ok(pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &until) == EINVAL, "so is a bad time");
    until = in(CLOCK_MONOTONIC, 1000);
    ok(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &until) == ETIMEDOUT, "a mutex that is held times out");
    pthread_mutex_unlock(&mutex);
    ok(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &until) == 0, "a free one is had though the time has passed");
    pthread_mutex_unlock(&mutex);
}

/* --- random numbers, second names --- */

static void numbers(void)
{
    unsigned char bytes[1000] = {0};
    unsigned zeroes = 0, seen = 0;
    arc4random_buf(bytes, sizeof bytes);
    for (unsigned i = 0; i < sizeof bytes; i++)
        zeroes += bytes[i] == 0;
    ok(zeroes < 50, "arc4random_buf fills its buffer");
    for (unsigned i = 0; i < 1000; i++)
        seen |= 1u << arc4random_uniform(5);
    ok(seen == 31, "arc4random_uniform gives all values below its bound, and no other");
    int flags = fcntl64(0, F_GETFD);
    ok(flags >= 0 && fcntl64(0, F_SETFD, flags) == 0, "fcntl64 passes its argument on");
    int a = 0, b = 0;
    ok(__isoc23_strtol("-123x", NULL, 10) == -123 && __isoc23_sscanf("4 5", "%d %d", &a, &b) == 2 && a == 4 && b == 5,
       "C23's names of strtol and sscanf");
}

/* --- locales: what libstdc++ reads --- */

struct glibc_locale {
    const void *categories[13];
    const unsigned short *classes;
    const int *lower, *upper;
    const char *names[13];
};

static void locales(void)
{
    locale_t c = must(newlocale(LC_ALL_MASK, "C", NULL));
    const struct glibc_locale *view = (const struct glibc_locale *)c;
    enum {
        DIGIT = 0x800,
        UPPER = 0x100
    }; /* glibc's bits, and musl's */
    ok(view->classes['7'] & DIGIT && !(view->classes['x'] & DIGIT) && view->classes['X'] & UPPER,
       "a locale has character classes where glibc has them");
    ok(view->lower['Q'] == 'q' && view->upper['q'] == 'Q', "and cases");
    ok(strcmp(view->names[LC_CTYPE], "C") == 0 && strcmp(view->names[12], "C") == 0, "and names");
    ok(newlocale(LC_ALL_MASK, "POSIX", NULL) == c, "the C locale is one");
    locale_t utf8 = must(newlocale(1 << LC_ALL, "C.UTF-8", NULL));
    view = (const struct glibc_locale *)utf8;
    ok(utf8 != c && view->classes['7'] & DIGIT && strcmp(view->names[LC_CTYPE], "C.UTF-8") == 0, "C.UTF-8 is another");
    locale_t old = uselocale(utf8);
    wchar_t wide = 0;
    ok(mbtowc(&wide, "\xc3\xa9", 2) == 2 && wide == 0xe9, "in it, characters are UTF-8");
    uselocale(c);
    ok(mbtowc(&wide, "\xc3\xa9", 2) == 1, "in C, bytes");
    uselocale(old);
    locale_t copy = must(duplocale(utf8)), global = duplocale(LC_GLOBAL_LOCALE);
    view = (const struct glibc_locale *)copy;
    ok(copy != utf8 && strcmp(view->names[LC_CTYPE], "C.UTF-8") == 0 && global != NULL, "locales are copied");
    locale_t changed = must(newlocale(LC_CTYPE_MASK, "C", copy));
    view = (const struct glibc_locale *)changed;
    ok(changed == copy && strcmp(view->names[LC_CTYPE], "C") == 0, "and changed in place");
    freelocale(c);
    freelocale(utf8);
    freelocale(changed);
    freelocale(global);
    ok(newlocale(LC_ALL_MASK, "C", NULL) == c, "the C locale survives being freed");
}

/* --- destructors of threads --- */

static char order[16], *order_end = order;

static void note(void *letter)
{
    *order_end++ = *(const char *)letter;
}

static void note_and_register(void *letter)
{
    note(letter);
    __cxa_thread_atexit_impl(note, "z", NULL);
}

static void *thread(void *unused)
{
    __cxa_thread_atexit_impl(note, "a", NULL);
    __cxa_thread_atexit_impl(note_and_register, "b", NULL);
    __cxa_thread_atexit_impl(note, "c", NULL);
    return unused;
}

static void threads(void)
{
    pthread_t id;
    pthread_create(&id, NULL, thread, NULL);
    pthread_join(id, NULL);
    ok(strcmp(order, "cbza") == 0, "a thread's destructors run last first, and those they register");
}

int main(void)
{
    fortify();
    jumps();
    waits();
    numbers();
    locales();
    threads();
    printf("1..%d\n", number);
    return failures != 0;
}
