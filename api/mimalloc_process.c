/*
 * mimalloc's interface: the process, its threads, its memory, and what the program wants to be told.
 */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "api/callbacks.h"
#include "api/mimalloc.h"
#include "api/platform.h"
#include "api/statistics.h"

FACE int mi_version(void)
{
    return MI_MALLOC_VERSION;
}

/* Where libweir is, malloc is weir's. */
FACE bool mi_is_redirected(void)
{
    return true;
}

/* --- output --- */

static struct callback output;

FACE void mi_register_output(mi_output_fun *out, void *arg)
{
    callback_set(&output, (uintptr_t)out, arg);
}

void mimalloc_text(struct text *text, text_sink *sink, void *argument)
{
    text->file = STDERR_FILENO;
    text->stream = NULL;
    text->sink = sink ? sink : (text_sink *)callback_function(&output);
    text->argument = sink ? argument : callback_argument(&output);
    text->length = 0;
}

/* --- the process --- */

static struct timespec started;

__attribute__((constructor)) static void remember_start(void)
{
    clock_gettime(CLOCK_MONOTONIC, &started);
}

static size_t elapsed_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (size_t)((now.tv_sec - started.tv_sec) * 1000 + (now.tv_nsec - started.tv_nsec) / 1000000);
}

static void put(size_t *where, uint64_t value)
{
    if (where)
        *where = value;
}

FACE void mi_process_info(size_t *elapsed_msecs, size_t *user_msecs, size_t *system_msecs, size_t *current_rss,
                          size_t *peak_rss, size_t *current_commit, size_t *peak_commit, size_t *page_faults)
{
    int error = errno;
    struct statistics statistics;
    statistics_gather(&statistics);
    put(elapsed_msecs, elapsed_ms());
    put(user_msecs, statistics.usage.user_ms);
    put(system_msecs, statistics.usage.system_ms);
    put(current_rss, statistics.usage.resident);
    put(peak_rss, statistics.usage.peak_resident);
    put(current_commit, statistics.arena.held);
    put(peak_commit, statistics.arena.peak_held);
    put(page_faults, statistics.usage.faults);
    errno = error;
}

static void put_milliseconds(struct text *text, const char *name, size_t milliseconds)
{
    text_put(text, name);
    text_number(text, milliseconds);
    text_put(text, " ms");
}

static void put_bytes(struct text *text, const char *name, size_t bytes)
{
    char out[NUMBER_MAX];
    text_put(text, name);
    text_put(text, size_text(out, bytes));
}

FACE void mi_process_info_print_out(mi_output_fun *out, void *arg)
{
    size_t elapsed, user, system, rss, peak_rss, commit, peak_commit, faults;
    struct text text;
    mi_process_info(&elapsed, &user, &system, &rss, &peak_rss, &commit, &peak_commit, &faults);
    mimalloc_text(&text, out, arg);
    put_milliseconds(&text, "weir: process: elapsed ", elapsed);
    put_milliseconds(&text, ", user ", user);
    put_milliseconds(&text, ", system ", system);
    put_bytes(&text, "; resident ", rss);
    put_bytes(&text, ", at most ", peak_rss);
    put_bytes(&text, "; held ", commit);
    put_bytes(&text, ", at most ", peak_commit);
    text_put(&text, "; page faults ");
    text_number(&text, faults);
    text_put(&text, "\n");
    text_flush(&text);
}

FACE void mi_process_info_print(void)
{
    mi_process_info_print_out(NULL, NULL);
}

/* Everything begins by itself, and ends with the process. */
FACE void mi_process_init(void)
{
    mi_thread_init();
}

FACE void mi_process_done(void)
{
}

FACE void mi_thread_init(void)
{
    struct weir_heap *heap = thread_enter();
    thread_leave(heap);
}

/* The thread's heap goes when the thread does; until then it rests, so that others take care of what is freed into it.
 */
FACE void mi_thread_done(void)
{
    mimalloc_leave_default();
    struct weir_heap *heap = thread_enter();
    weir_heap_quiesce(heap);
    thread_leave(heap);
}

FACE void mi_thread_set_in_threadpool(void)
{
}

/* What target a thread has makes no difference: everything that is not needed goes. */
FACE void mi_collect_reduce(size_t target_thread_owned)
{
    (void)target_thread_owned;
    mi_collect(true);
}

/* --- sub-processes: there is one --- */

static mi_subproc_id_t the_process(void)
{
    static char process;
    return (mi_subproc_id_t){&process};
}

FACE mi_subproc_id_t mi_subproc_main(void)
{
    return the_process();
}

FACE mi_subproc_id_t mi_subproc_current(void)
{
    return the_process();
}

FACE mi_subproc_id_t mi_subproc_new(void)
{
    return the_process();
}

FACE void mi_subproc_destroy(mi_subproc_id_t subproc)
{
    (void)subproc;
}

FACE void mi_subproc_delete(mi_subproc_id_t subproc)
{
    (void)subproc;
}

FACE void mi_subproc_add_current_thread(mi_subproc_id_t subproc)
{
    (void)subproc;
}

/* --- guard pages: there are none --- */

FACE void mi_heap_guarded_set_sample_rate(mi_heap_t *heap, size_t sample_rate, size_t seed)
{
    (void)heap, (void)sample_rate, (void)seed;
}

FACE void mi_heap_guarded_set_size_bound(mi_heap_t *heap, size_t min, size_t max)
{
    (void)heap, (void)min, (void)max;
}

FACE void mi_theap_guarded_set_sample_rate(mi_theap_t *theap, size_t sample_rate, size_t seed)
{
    (void)theap, (void)sample_rate, (void)seed;
}

FACE void mi_theap_guarded_set_size_bound(mi_theap_t *theap, size_t min, size_t max)
{
    (void)theap, (void)min, (void)max;
}
