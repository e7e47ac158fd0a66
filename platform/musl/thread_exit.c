/*
 * Destructors of thread_local objects: __cxa_thread_atexit_impl, which musl lacks.
 *
 * Each thread keeps a list of what it has constructed, newest first, and runs it when it ends. A thread-specific key
 * tells when a thread ends; exit(), which runs no key's destructor, is caught by atexit, and runs the list of the
 * thread that called it. A destructor may construct further thread_local objects: the list is run until it is empty,
 * and the key is set anew by each construction.
 *
 * Invariant: a thread's list is not empty ⇒ its value of the key is not null.                                      (1)
 */
#include <pthread.h>
#include <stdlib.h>

struct destructor {
    void (*run)(void *);
    void *object;
    struct destructor *next;
};

static _Thread_local struct destructor *newest;
static pthread_key_t key;
static int key_error;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void run_destructors(void *list)
{
    (void)list;
    for (struct destructor *d; (d = newest) != NULL; free(d)) {
        newest = d->next;
        d->run(d->object);
    }
}

static void run_at_exit(void)
{
    run_destructors(NULL);
}

static void prepare(void)
{
    key_error = pthread_key_create(&key, run_destructors);
    if (key_error == 0 && atexit(run_at_exit) != 0)
        key_error = -1;
}

/* As the C++ ABI has it: 0, or -1 if it cannot be remembered. `module` would be unloaded with dlclose, which a static
 * program has not. */
int __cxa_thread_atexit_impl(void (*run)(void *), void *object, void *module)
{
    (void)module;
    pthread_once(&once, prepare);
    if (key_error != 0)
        return -1;
    struct destructor *d = malloc(sizeof *d);
    if (d == NULL)
        return -1;
    if (pthread_setspecific(key, d) != 0) {
        free(d);
        return -1;
    }
    *d = (struct destructor){run, object, newest};
    newest = d;
    return 0;
}
