/*
 * malloc at the edges of a process's and of a thread's life: before main, in constructors and destructors, in the last
 * destructors of a thread, under signals, in threads that are cancelled.
 *
 * What the tests after main find is told by the exit code: 3.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/acceptance/check.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    KINDS = 6
};

/* Objects of every kind, made at one time of life, verified and freed at another. */
struct belongings {
    size_t kinds;
    void *object[KINDS];
    size_t size[KINDS];
};

static void acquire_some(struct belongings *mine, size_t kinds, uint64_t stamp)
{
    static const size_t sizes[KINDS] = {1, 48, 1000, 9000, 33000, 300000};
    mine->kinds = kinds;
    for (size_t i = 0; i < kinds; i++) {
        mine->size[i] = sizes[i];
        mine->object[i] = i % 3 == 0 ? calloc(1, sizes[i]) : i % 3 == 1 ? malloc(sizes[i]) : memalign(4096, sizes[i]);
        if (mine->object[i])
            stamp_write(mine->object[i], sizes[i], stamp + i);
    }
}

static void acquire(struct belongings *mine, uint64_t stamp)
{
    acquire_some(mine, KINDS, stamp);
}

static bool holds(const struct belongings *mine, uint64_t stamp)
{
    for (size_t i = 0; i < mine->kinds; i++)
        if (!mine->object[i] || !stamp_holds(mine->object[i], mine->size[i], stamp + i))
            return false;
    return true;
}

static bool release(struct belongings *mine, uint64_t stamp)
{
    bool well = holds(mine, stamp);
    for (size_t i = 0; i < mine->kinds; i++)
        free(mine->object[i]);
    return well;
}

/* --- before main and after --- */

static struct belongings first, early, ordinary, for_later;

static void very_first(void)
{
    acquire(&first, 100);
}

/* Only static programs on glibc and dynamic ones have this: before every constructor. */
__attribute__((used, section(".preinit_array"))) static void (*const before_constructors)(void) = very_first;

__attribute__((constructor(101))) static void construct_early(void)
{
    acquire(&early, 200);
    struct belongings passing;
    acquire(&passing, 1);
    if (!release(&passing, 1))
        _exit(3);
}

__attribute__((constructor)) static void construct(void)
{
    acquire(&ordinary, 300);
    if (!holds(&early, 200))
        _exit(3);
}

__attribute__((destructor)) static void destroy(void)
{
    for (size_t i = 0; i < KINDS; i++)
        for_later.object[i] = realloc(for_later.object[i], for_later.size[i] + 100);
    struct belongings passing;
    acquire(&passing, 2);
    if (!release(&passing, 2) || !release(&for_later, 400))
        _exit(3);
}

__attribute__((destructor(101))) static void destroy_late(void)
{
    struct belongings passing;
    acquire(&passing, 3);
    if (!release(&passing, 3))
        _exit(3);
}

static void at_exit(void)
{
    struct belongings passing;
    acquire(&passing, 4);
    if (!release(&passing, 4) || !holds(&for_later, 400))
        _exit(3);
}

static void what_was_made_before_main_is_there(void)
{
    if (first.object[0])
        CHECK(release(&first, 100));
    CHECK(release(&early, 200));
    CHECK(release(&ordinary, 300));
    acquire(&for_later, 400);
    CHECK(atexit(at_exit) == 0);
}

/* --- threads --- */

/* Keys made before malloc's own and after it; their destructors allocate, and ask to be called again as often as the C
 * library lets them: some of that comes after the thread's heap is gone. What the last call made stays. */
static pthread_key_t keys[20];
static atomic_uint destructions;

static void destroy_belongings(void *given)
{
    struct belongings *mine = given;
    CHECK(release(mine, 500));
    free(mine);
    mine = malloc(sizeof *mine);
    acquire_some(mine, KINDS - 2, 500);
    pthread_key_t key = keys[atomic_fetch_add(&destructions, 1) % COUNT(keys)];
    void *before = pthread_getspecific(key);
    if (before) {
        CHECK(release(before, 500));
        free(before);
    }
    pthread_setspecific(key, mine);
}

static void *leave_belongings(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct belongings *mine = malloc(sizeof *mine);
        acquire_some(mine, KINDS - 2, 500);
        pthread_setspecific(keys[i], mine);
    }
    return malloc(100);
}

static void destructors_of_threads_allocate_and_free(void)
{
    size_t made = 0;
    while (made < COUNT(keys) && pthread_key_create(&keys[made], destroy_belongings) == 0)
        made++;
    if (!CHECK(made == COUNT(keys)))
        return;
    for (size_t i = 0; i < 20; i++) {
        pthread_t thread;
        void *left = NULL;
        if (!CHECK(pthread_create(&thread, NULL, leave_belongings, NULL) == 0))
            return;
        pthread_join(thread, &left);
        CHECK(left != NULL && malloc_usable_size(left) >= 100);
        free(left);
    }
    CHECK(atomic_load(&destructions) >= 20 * COUNT(keys));
    for (size_t i = 0; i < COUNT(keys); i++)
        pthread_key_delete(keys[i]);
}

static sem_t ended;
static struct belongings detached_left;

static void *leave_detached(void *unused)
{
    (void)unused;
    acquire(&detached_left, 600);
    sem_post(&ended);
    return NULL;
}

static void objects_outlive_detached_threads(void)
{
    sem_init(&ended, 0, 0);
    for (size_t i = 0; i < 200; i++) {
        pthread_t thread;
        if (!CHECK(pthread_create(&thread, NULL, leave_detached, NULL) == 0))
            return;
        pthread_detach(thread);
        while (sem_wait(&ended) != 0)
            ;
        CHECK(release(&detached_left, 600));
    }
}

static void clean_up(void *given)
{
    CHECK(release(given, 700));
    free(given);
}

static void *wait_to_be_cancelled(void *unused)
{
    struct belongings *mine = malloc(sizeof *mine);
    acquire(mine, 700);
    pthread_cleanup_push(clean_up, mine);
    for (;;) {
        struct belongings passing;
        acquire(&passing, 800);
        CHECK(release(&passing, 800));
        pthread_testcancel();
    }
    pthread_cleanup_pop(0);
    return unused;
}

static void threads_may_be_cancelled(void)
{
    for (size_t i = 0; i < 40; i++) {
        pthread_t thread;
        if (!CHECK(pthread_create(&thread, NULL, wait_to_be_cancelled, NULL) == 0))
            return;
        usleep(500);
        pthread_cancel(thread);
        void *result;
        pthread_join(thread, &result);
        CHECK(result == PTHREAD_CANCELED);
    }
}

/* A thread with the least of stacks that there is, and one whose stack lies in an object. */
static void *use_little_stack(void *unused)
{
    struct belongings passing;
    acquire(&passing, 900);
    return release(&passing, 900) ? (void *)1 : unused;
}

static void small_stacks_are_enough(void)
{
    size_t size = (size_t)sysconf(_SC_THREAD_STACK_MIN) > 16384 ? (size_t)sysconf(_SC_THREAD_STACK_MIN) : 16384;
    void *stack = memalign(4096, size);
    for (size_t i = 0; i < 2; i++) {
        pthread_attr_t attributes;
        pthread_t thread;
        void *result = NULL;
        pthread_attr_init(&attributes);
        int error = i ? pthread_attr_setstack(&attributes, stack, size) : pthread_attr_setstacksize(&attributes, size);
        if (CHECK(error == 0) && CHECK(pthread_create(&thread, &attributes, use_little_stack, NULL) == 0))
            pthread_join(thread, &result);
        CHECK(result != NULL);
        pthread_attr_destroy(&attributes);
    }
    free(stack);
}

/* --- signals --- */

static volatile sig_atomic_t ticks;

/* Allocates nothing, as is right in a handler; but takes its time, its stack and errno. */
static void tick(int signal)
{
    (void)signal;
    int error = errno;
    volatile char room[4096];
    memset((char *)room, 1, sizeof room);
    (void)getppid();
    errno = error;
    ticks++;
}

static void *churn(void *seed)
{
    uint64_t chance = (uintptr_t)seed;
    struct belongings passing[8];
    for (size_t i = 0; i < COUNT(passing); i++)
        acquire(&passing[i], i);
    for (size_t round = 0; round < 200 || ticks < 100; round++) {
        size_t k = chance_below(&chance, COUNT(passing));
        CHECK(release(&passing[k], k));
        acquire(&passing[k], k);
        void *objects[200];
        for (size_t i = 0; i < COUNT(objects); i++)
            objects[i] = malloc(chance_size(&chance, 5000));
        for (size_t i = 0; i < COUNT(objects); i++)
            free(objects[i]);
        if (round == 20000)
            break; /* no signals here */
    }
    for (size_t i = 0; i < COUNT(passing); i++)
        CHECK(release(&passing[i], i));
    return NULL;
}

static void signals_interrupt_anywhere(void)
{
    static char alternative[1 << 16];
    stack_t stack = {.ss_sp = alternative, .ss_size = sizeof alternative};
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_ONSTACK}, before;
    CHECK(sigaltstack(&stack, NULL) == 0);
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, &before);
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    if (setitimer(ITIMER_REAL, &often, NULL) != 0) {
        skip("no timers here");
        return;
    }
    pthread_t thread;
    if (CHECK(pthread_create(&thread, NULL, churn, (void *)1) == 0)) {
        churn((void *)2);
        pthread_join(thread, NULL);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    CHECK(ticks > 0);
}

/* A handler may leave by siglongjmp, if what it interrupted was not malloc. */
static sigjmp_buf back;
static volatile sig_atomic_t faults;

static void leave(int signal)
{
    (void)signal;
    faults++;
    siglongjmp(back, 1);
}

static void a_fault_of_the_program_does_not_hurt(void)
{
    if (!parameter("faults", 1)) {
        skip("faults end programs here");
        return;
    }
    struct sigaction action = {.sa_handler = leave, .sa_flags = SA_NODEFER}, before;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &before);
    volatile char *nobodys = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (volatile int i = 0; i < 20; i++) {
        struct belongings mine;
        acquire(&mine, 1000);
        if (sigsetjmp(back, 1) == 0)
            nobodys[i] = 1;
        CHECK(release(&mine, 1000));
    }
    sigaction(SIGSEGV, &before, NULL);
    munmap((void *)nobodys, 4096);
    CHECK(faults == 20);
}

int main(int argc, char **argv)
{
#define TEST(name)                                                                                                     \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
    static const struct test tests[] = {
        TEST(what_was_made_before_main_is_there),
        TEST(destructors_of_threads_allocate_and_free),
        TEST(objects_outlive_detached_threads),
        TEST(threads_may_be_cancelled),
        TEST(small_stacks_are_enough),
        TEST(signals_interrupt_anywhere),
        TEST(a_fault_of_the_program_does_not_hurt),
    };
    return run_tests(argc, argv, tests, sizeof tests / sizeof *tests);
}
