/* The heap of sleepers against a model that looks at everybody. */
#include "test.h"

#include "platform/kernel/sleepers.h"
#include "platform/kernel/thread.h"
#include "tests/support/random.h"

enum {
    THREADS = 200
};

static struct thread threads[THREADS];
static struct sleepers sleepers;

/* (1) and (2), below `thread`; returns how many threads there are. */
static unsigned check(const struct thread *thread, const struct thread *parent)
{
    unsigned n = 0;
    const struct thread *before = parent;
    for (; thread; before = thread, thread = thread->heap_next) {
        assert_true(parent == NULL || parent->deadline <= thread->deadline);
        assert_ptr_equal(thread->heap_previous, before);
        n += 1 + check(thread->heap_child, thread);
    }
    return n;
}

static void empty(void **state)
{
    (void)state;
    sleepers.first = NULL;
    assert_true(sleepers_first(&sleepers) == NEVER);
    threads[0].deadline = 7;
    sleepers_add(&sleepers, &threads[0]);
    assert_true(sleepers_first(&sleepers) == 7);
    sleepers_remove(&sleepers, &threads[0]);
    assert_true(sleepers_first(&sleepers) == NEVER && threads[0].deadline == NEVER);
}

static void random_sleep(void **state)
{
    (void)state;
    struct random random = random_start("kernel/sleepers");
    sleepers.first = NULL;
    unsigned sleeping = 0;
    for (unsigned i = 0; i < THREADS; i++)
        threads[i].deadline = NEVER;
    for (unsigned step = 0; step < 20000; step++) {
        struct thread *thread = &threads[random_below(&random, THREADS)];
        if (thread->deadline == NEVER) {
            thread->deadline = random_below(&random, 1000); /* some are equal */
            sleepers_add(&sleepers, thread);
            sleeping++;
        } else { /* any of them, or the first */
            thread = random_below(&random, 2) ? thread : sleepers.first;
            sleepers_remove(&sleepers, thread);
            assert_true(thread->deadline == NEVER);
            sleeping--;
        }
        uint64_t first = NEVER;
        for (unsigned i = 0; i < THREADS; i++)
            first = threads[i].deadline < first ? threads[i].deadline : first;
        assert_true(sleepers_first(&sleepers) == first);
        if (step % 16 == 0)
            assert_int_equal(check(sleepers.first, NULL), sleeping);
    }
    uint64_t last = 0;
    while (sleepers.first) { /* they come in order */
        uint64_t deadline = sleepers_first(&sleepers);
        assert_true(deadline >= last);
        last = deadline;
        sleepers_remove(&sleepers, sleepers.first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty),
        cmocka_unit_test(random_sleep),
    };
    return cmocka_run_group_tests_name("kernel/sleepers", tests, NULL, NULL);
}
