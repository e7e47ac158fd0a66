/* free preserves errno, as POSIX.1-2024 asks: on whatever way an object goes. */
#include "tests/acceptance/faces.h"

#include <pthread.h>
#include <sys/mman.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    OBJECTS = 3000
};

static void *objects[OBJECTS];

static void release(void *object)
{
    errno = 1234;
    free(object);
    CHECK(errno == 1234);
}

/* Objects of one size, so that slabs fill, then all freed: as they came, the last one first, or criss-cross. */
static void release_all(size_t order)
{
    for (size_t i = 0; i < OBJECTS; i++)
        release(objects[order == 0 ? i : order == 1 ? OBJECTS - 1 - i : i * 1009 % OBJECTS]);
}

static void *allocate_all(void *size)
{
    for (size_t i = 0; i < OBJECTS; i++)
        objects[i] = malloc((uintptr_t)size);
    return NULL;
}

void free_preserves_errno_of_small_objects(void)
{
    release(NULL);
    for (size_t size = 1; size <= 32768; size = size * 2 + 1)
        for (size_t order = 0; order < 3; order++) {
            allocate_all((void *)size);
            release_all(order);
        }
    errno = 1234;
    release_sized(malloc(40), 40);
    release_sized(malloc(4000), 4000);
    release_sized(malloc(40000), 40000);
    release_aligned_sized(aligned_alloc(1 << 16, 40), 1 << 16, 40);
    CHECK(errno == 1234);
}

void free_preserves_errno_of_large_objects(void)
{
    size_t most = parameter("object", (size_t)64 << 20);
    for (size_t size = 33000; size <= most; size = size * 3 / 2) {
        void *some[12];
        size_t n = size < 1 << 20 ? COUNT(some) : 2;
        for (size_t i = 0; i < n; i++) {
            some[i] = malloc(size);
            memset(some[i], 1, size < 1 << 20 ? size : 1 << 20);
        }
        for (size_t i = 0; i < n; i++)
            release(some[i]);
    }
}

void free_preserves_errno_of_other_threads_objects(void)
{
    static const size_t sizes[] = {16, 500, 9000, 32768, 50000};
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t order = 0; order < 3; order++) {
            pthread_t thread;
            if (!CHECK(pthread_create(&thread, NULL, allocate_all, (void *)sizes[i]) == 0))
                return;
            pthread_join(thread, NULL);
            release_all(order);
        }
}

static void *release_first(void *object)
{
    release(object);
    return NULL;
}

/* The thread has no heap of its own yet. */
void free_preserves_errno_as_a_threads_first_act(void)
{
    for (size_t size = 10; size < 100000; size *= 3) {
        pthread_t thread;
        if (!CHECK(pthread_create(&thread, NULL, release_first, malloc(size)) == 0))
            return;
        pthread_join(thread, NULL);
    }
}

void free_preserves_errno_when_memory_is_given_back(void)
{
    size_t burst = parameter("burst", (size_t)192 << 20), n = burst >> 16;
    void **many = malloc(n * sizeof *many);
    for (size_t i = 0; i < n; i++) {
        many[i] = malloc(65536);
        memset(many[i], 1, 65536);
    }
    for (size_t i = 0; i < n; i++)
        release(many[i]);
    release(many);
    errno = 1234;
    malloc_trim(0);
    CHECK(errno == 1234);
}

/* The kernel refuses to take locked pages. */
void free_preserves_errno_of_locked_memory(void)
{
    enum {
        SIZE = 2 << 20
    };
    void *object = aligned_alloc(4096, SIZE);
    if (mlock(object, SIZE) != 0) {
        free(object);
        skip("memory cannot be locked here");
        return;
    }
    memset(object, 1, SIZE);
    uintptr_t where = (uintptr_t)object;
    release(object);
    errno = 1234;
    malloc_trim(0);
    CHECK(errno == 1234);
    munlock((void *)where, SIZE);
}
