/*
 * mimalloc's interface, served by weir: a program written for mimalloc 2 or 3 compiles against this header and runs on
 * libweir. The names and signatures are mimalloc's (Daan Leijen, Microsoft Research;
 * https://github.com/microsoft/mimalloc), everything behind them is weir. docs/mimalloc.md says what each group does
 * here, and what has no counterpart.
 *
 * Where versions 2 and 3 disagree, version 3 holds, unless the program says -DWEIR_MIMALLOC=2. They disagree on the
 * order of arguments of the mi_…_tp macros, on whether a theap is a heap, and on the type of a sub-process.
 */
#ifndef MIMALLOC_H
#define MIMALLOC_H

#ifndef WEIR_MIMALLOC
#define WEIR_MIMALLOC 3
#endif

#if WEIR_MIMALLOC == 2
#define MI_MALLOC_VERSION 20400
#else
#define MI_MALLOC_VERSION 30400
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define mi_attr_noexcept noexcept
#else
#define mi_attr_noexcept
#endif
#define mi_decl_nodiscard
#define mi_decl_export
#define mi_decl_restrict
#define mi_cdecl
#define mi_attr_malloc __attribute__((malloc))
#ifdef __GNUC__
#define mi_attr_alloc_size(n)     __attribute__((alloc_size(n)))
#define mi_attr_alloc_size2(n, m) __attribute__((alloc_size(n, m)))
#define mi_attr_alloc_align(n)    __attribute__((alloc_align(n)))
#endif

/* What a function promises about the object it returns: the numbers are those of its parameters. */
#define WEIR_MI_OBJECT(size)             mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(size)
#define WEIR_MI_ALIGNED(size, alignment) WEIR_MI_OBJECT(size) mi_attr_alloc_align(alignment)
#define WEIR_MI_ARRAY(count, size)       mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size2(count, size)
#define WEIR_MI_RESIZED(size)            mi_attr_noexcept mi_attr_alloc_size(size)
#define WEIR_MI_RESIZED_ARRAY(n, size)   mi_attr_noexcept mi_attr_alloc_size2(n, size)

#ifdef __cplusplus
extern "C" {
#endif

/* --- objects --- */

void *mi_malloc(size_t size) WEIR_MI_OBJECT(1);
void *mi_zalloc(size_t size) WEIR_MI_OBJECT(1);
void *mi_calloc(size_t count, size_t size) WEIR_MI_ARRAY(1, 2);
void *mi_mallocn(size_t count, size_t size) WEIR_MI_ARRAY(1, 2);
void *mi_realloc(void *p, size_t newsize) WEIR_MI_RESIZED(2);
void *mi_reallocn(void *p, size_t count, size_t size) WEIR_MI_RESIZED_ARRAY(2, 3);
void *mi_reallocf(void *p, size_t newsize) WEIR_MI_RESIZED(2); /* frees p when it fails */
void *mi_expand(void *p, size_t newsize) mi_attr_noexcept;     /* in place or not at all */
void mi_free(void *p) mi_attr_noexcept;

/* Of at most this size. */
#define MI_SMALL_WSIZE_MAX 128
#define MI_SMALL_SIZE_MAX  (MI_SMALL_WSIZE_MAX * sizeof(void *))
void *mi_malloc_small(size_t size) WEIR_MI_OBJECT(1);
void *mi_zalloc_small(size_t size) WEIR_MI_OBJECT(1);
void mi_free_small(void *p) mi_attr_noexcept;

size_t mi_usable_size(const void *p) mi_attr_noexcept;
size_t mi_good_size(size_t size) mi_attr_noexcept;

char *mi_strdup(const char *s) mi_attr_noexcept mi_attr_malloc;
char *mi_strndup(const char *s, size_t n) mi_attr_noexcept mi_attr_malloc;
char *mi_realpath(const char *fname, char *resolved_name) mi_attr_noexcept;

/* Resizing of what was zero when it was allocated: what it grows by is zero, too. */
void *mi_rezalloc(void *p, size_t newsize) WEIR_MI_RESIZED(2);
void *mi_recalloc(void *p, size_t newcount, size_t size) WEIR_MI_RESIZED_ARRAY(2, 3);

/* Aligned; …_at: the address plus offset is. */
void *mi_malloc_aligned(size_t size, size_t alignment) WEIR_MI_ALIGNED(1, 2);
void *mi_malloc_aligned_at(size_t size, size_t alignment, size_t offset) WEIR_MI_OBJECT(1);
void *mi_zalloc_aligned(size_t size, size_t alignment) WEIR_MI_ALIGNED(1, 2);
void *mi_zalloc_aligned_at(size_t size, size_t alignment, size_t offset) WEIR_MI_OBJECT(1);
void *mi_calloc_aligned(size_t count, size_t size, size_t alignment) WEIR_MI_ARRAY(1, 2) mi_attr_alloc_align(3);
void *mi_calloc_aligned_at(size_t count, size_t size, size_t alignment, size_t offset) WEIR_MI_ARRAY(1, 2);
void *mi_realloc_aligned(void *p, size_t newsize, size_t alignment) WEIR_MI_RESIZED(2) mi_attr_alloc_align(3);
void *mi_realloc_aligned_at(void *p, size_t newsize, size_t alignment, size_t offset) WEIR_MI_RESIZED(2);
void *mi_rezalloc_aligned(void *p, size_t newsize, size_t alignment) WEIR_MI_RESIZED(2) mi_attr_alloc_align(3);
void *mi_rezalloc_aligned_at(void *p, size_t newsize, size_t alignment, size_t offset) WEIR_MI_RESIZED(2);
void *mi_recalloc_aligned(void *p, size_t newcount, size_t size, size_t alignment) WEIR_MI_RESIZED_ARRAY(2, 3)
    mi_attr_alloc_align(4);
void *mi_recalloc_aligned_at(void *p, size_t newcount, size_t size, size_t alignment, size_t offset)
    WEIR_MI_RESIZED_ARRAY(2, 3);

/* The same, and how much room the object has. */
void *mi_umalloc(size_t size, size_t *block_size) WEIR_MI_OBJECT(1);
void *mi_ucalloc(size_t count, size_t size, size_t *block_size) WEIR_MI_ARRAY(1, 2);
void *mi_urealloc(void *p, size_t newsize, size_t *block_size_pre, size_t *block_size_post) WEIR_MI_RESIZED(2);
void mi_ufree(void *p, size_t *block_size) mi_attr_noexcept;
void *mi_umalloc_aligned(size_t size, size_t alignment, size_t *block_size) WEIR_MI_ALIGNED(1, 2);
void *mi_uzalloc_aligned(size_t size, size_t alignment, size_t *block_size) WEIR_MI_ALIGNED(1, 2);
void *mi_umalloc_small(size_t size, size_t *block_size) WEIR_MI_OBJECT(1);
void *mi_uzalloc_small(size_t size, size_t *block_size) WEIR_MI_OBJECT(1);

/* --- the names of other systems --- */

void mi_cfree(void *p) mi_attr_noexcept; /* frees only what is malloc's */
void *mi__expand(void *p, size_t newsize) mi_attr_noexcept;
size_t mi_malloc_size(const void *p) mi_attr_noexcept;
size_t mi_malloc_good_size(size_t size) mi_attr_noexcept;
size_t mi_malloc_usable_size(const void *p) mi_attr_noexcept;
int mi_posix_memalign(void **p, size_t alignment, size_t size) mi_attr_noexcept;
int mi__posix_memalign(void **p, size_t alignment, size_t size) mi_attr_noexcept;
void *mi_memalign(size_t alignment, size_t size) WEIR_MI_ALIGNED(2, 1);
void *mi_aligned_alloc(size_t alignment, size_t size) WEIR_MI_ALIGNED(2, 1);
void *mi_valloc(size_t size) WEIR_MI_OBJECT(1);
void *mi_pvalloc(size_t size) mi_attr_noexcept mi_attr_malloc;
void *mi_reallocarray(void *p, size_t count, size_t size) WEIR_MI_RESIZED_ARRAY(2, 3);
int mi_reallocarr(void *ptrp, size_t count, size_t size) mi_attr_noexcept;
void *mi_aligned_recalloc(void *p, size_t newcount, size_t size, size_t alignment) mi_attr_noexcept;
void *mi_aligned_offset_recalloc(void *p, size_t newcount, size_t size, size_t alignment,
                                 size_t offset) mi_attr_noexcept;
void mi_free_size(void *p, size_t size) mi_attr_noexcept;
void mi_free_size_aligned(void *p, size_t size, size_t alignment) mi_attr_noexcept;
void mi_free_aligned(void *p, size_t alignment) mi_attr_noexcept;
wchar_t *mi_wcsdup(const wchar_t *s) mi_attr_noexcept mi_attr_malloc;
unsigned char *mi_mbsdup(const unsigned char *s) mi_attr_noexcept mi_attr_malloc;
int mi_dupenv_s(char **buf, size_t *size, const char *name) mi_attr_noexcept;
int mi_wdupenv_s(wchar_t **buf, size_t *size, const wchar_t *name) mi_attr_noexcept;

/* As C++'s new: they call the new handler, then throw std::bad_alloc, or return null (nothrow). */
void *mi_new(size_t size) mi_attr_malloc mi_attr_alloc_size(1);
void *mi_new_n(size_t count, size_t size) mi_attr_malloc mi_attr_alloc_size2(1, 2);
void *mi_new_aligned(size_t size, size_t alignment) mi_attr_malloc mi_attr_alloc_size(1) mi_attr_alloc_align(2);
void *mi_new_nothrow(size_t size) WEIR_MI_OBJECT(1);
void *mi_new_aligned_nothrow(size_t size, size_t alignment) WEIR_MI_ALIGNED(1, 2);
void *mi_new_realloc(void *p, size_t newsize) mi_attr_alloc_size(2);
void *mi_new_reallocn(void *p, size_t newcount, size_t size) mi_attr_alloc_size2(2, 3);

/* --- first-class heaps: any thread allocates from them, any thread frees --- */

struct mi_heap_s;
typedef struct mi_heap_s mi_heap_t;

mi_heap_t *mi_heap_new(void);
mi_heap_t *mi_heap_new_ex(int heap_tag, bool allow_destroy, void *arena_id);
void mi_heap_delete(mi_heap_t *heap);  /* its objects stay */
void mi_heap_destroy(mi_heap_t *heap); /* its objects go with it */
void mi_heap_collect(mi_heap_t *heap, bool force) mi_attr_noexcept;
void mi_heap_set_numa_affinity(mi_heap_t *heap, int numa_node);

/* The process's heap, from which malloc allocates; it cannot be deleted or destroyed. */
mi_heap_t *mi_heap_main(void);
mi_heap_t *mi_heap_get_backing(void);

/* The heap from which the calling thread's malloc allocates. mi_heap_set_default returns the one before. */
mi_heap_t *mi_heap_get_default(void);
mi_heap_t *mi_heap_set_default(mi_heap_t *heap);

/* Of an object that malloc or a heap returned: its heap; whether that is this one; null and false for other pointers.
 */
mi_heap_t *mi_heap_of(const void *p);
bool mi_heap_contains(const mi_heap_t *heap, const void *p);
bool mi_heap_contains_block(mi_heap_t *heap, const void *p);
bool mi_heap_check_owned(mi_heap_t *heap, const void *p);
bool mi_any_heap_contains(const void *p);
bool mi_check_owned(const void *p);
bool mi_is_in_heap_region(const void *p) mi_attr_noexcept;
bool mi_unsafe_heap_page_is_under_utilized(mi_heap_t *heap, void *p, size_t perc_threshold) mi_attr_noexcept;

void *mi_heap_malloc(mi_heap_t *heap, size_t size) WEIR_MI_OBJECT(2);
void *mi_heap_zalloc(mi_heap_t *heap, size_t size) WEIR_MI_OBJECT(2);
void *mi_heap_calloc(mi_heap_t *heap, size_t count, size_t size) WEIR_MI_ARRAY(2, 3);
void *mi_heap_mallocn(mi_heap_t *heap, size_t count, size_t size) WEIR_MI_ARRAY(2, 3);
void *mi_heap_malloc_small(mi_heap_t *heap, size_t size) WEIR_MI_OBJECT(2);
void *mi_heap_zalloc_small(mi_heap_t *heap, size_t size) WEIR_MI_OBJECT(2);
void *mi_heap_realloc(mi_heap_t *heap, void *p, size_t newsize) WEIR_MI_RESIZED(3);
void *mi_heap_reallocn(mi_heap_t *heap, void *p, size_t count, size_t size) WEIR_MI_RESIZED_ARRAY(3, 4);
void *mi_heap_reallocf(mi_heap_t *heap, void *p, size_t newsize) WEIR_MI_RESIZED(3);
void *mi_heap_rezalloc(mi_heap_t *heap, void *p, size_t newsize) WEIR_MI_RESIZED(3);
void *mi_heap_recalloc(mi_heap_t *heap, void *p, size_t newcount, size_t size) WEIR_MI_RESIZED_ARRAY(3, 4);
char *mi_heap_strdup(mi_heap_t *heap, const char *s) mi_attr_noexcept mi_attr_malloc;
char *mi_heap_strndup(mi_heap_t *heap, const char *s, size_t n) mi_attr_noexcept mi_attr_malloc;
char *mi_heap_realpath(mi_heap_t *heap, const char *fname, char *resolved_name) mi_attr_noexcept;
void *mi_heap_malloc_aligned(mi_heap_t *heap, size_t size, size_t alignment) WEIR_MI_ALIGNED(2, 3);
void *mi_heap_malloc_aligned_at(mi_heap_t *heap, size_t size, size_t alignment, size_t offset) WEIR_MI_OBJECT(2);
void *mi_heap_zalloc_aligned(mi_heap_t *heap, size_t size, size_t alignment) WEIR_MI_ALIGNED(2, 3);
void *mi_heap_zalloc_aligned_at(mi_heap_t *heap, size_t size, size_t alignment, size_t offset) WEIR_MI_OBJECT(2);
void *mi_heap_calloc_aligned(mi_heap_t *heap, size_t count, size_t size, size_t alignment) WEIR_MI_ARRAY(2, 3)
    mi_attr_alloc_align(4);
void *mi_heap_calloc_aligned_at(mi_heap_t *heap, size_t count, size_t size, size_t alignment, size_t offset)
    WEIR_MI_ARRAY(2, 3);
void *mi_heap_realloc_aligned(mi_heap_t *heap, void *p, size_t newsize, size_t alignment) WEIR_MI_RESIZED(3)
    mi_attr_alloc_align(4);
void *mi_heap_realloc_aligned_at(mi_heap_t *heap, void *p, size_t newsize, size_t alignment, size_t offset)
    WEIR_MI_RESIZED(3);
void *mi_heap_rezalloc_aligned(mi_heap_t *heap, void *p, size_t newsize, size_t alignment) WEIR_MI_RESIZED(3)
    mi_attr_alloc_align(4);
void *mi_heap_rezalloc_aligned_at(mi_heap_t *heap, void *p, size_t newsize, size_t alignment, size_t offset)
    WEIR_MI_RESIZED(3);
void *mi_heap_recalloc_aligned(mi_heap_t *heap, void *p, size_t newcount, size_t size, size_t alignment)
    WEIR_MI_RESIZED_ARRAY(3, 4) mi_attr_alloc_align(5);
void *mi_heap_recalloc_aligned_at(mi_heap_t *heap, void *p, size_t newcount, size_t size, size_t alignment,
                                  size_t offset) WEIR_MI_RESIZED_ARRAY(3, 4);
void *mi_heap_alloc_new(mi_heap_t *heap, size_t size) mi_attr_malloc mi_attr_alloc_size(2);
void *mi_heap_alloc_new_n(mi_heap_t *heap, size_t count, size_t size) mi_attr_malloc mi_attr_alloc_size2(2, 3);

/* The same, aligned; weir's own. Null: the default heap. */
void *weir_mi_new_array(mi_heap_t *heap, size_t count, size_t size, size_t alignment) mi_attr_malloc
    mi_attr_alloc_size2(2, 3);

/* --- visiting --- */

typedef struct mi_heap_area_s {
    void *blocks;           /* where the area starts: objects of one size */
    size_t reserved;        /* bytes of it */
    size_t committed;       /* of these, bytes that have been cut into objects */
    size_t used;            /* objects in use */
    size_t block_size;      /* bytes usable in each */
    size_t full_block_size; /* the same: weir adds nothing to an object */
#if WEIR_MIMALLOC == 2
    int heap_tag;
#else
    void *reserved1;
#endif
} mi_heap_area_t;

/* Called for an area with a null block, then for each of its objects in use. False stops. */
typedef bool(mi_block_visit_fun)(const mi_heap_t *heap, const mi_heap_area_t *area, void *block, size_t block_size,
                                 void *arg);

bool mi_heap_visit_blocks(const mi_heap_t *heap, bool visit_blocks, mi_block_visit_fun *visitor, void *arg);
bool mi_heap_visit_abandoned_blocks(mi_heap_t *heap, bool visit_blocks, mi_block_visit_fun *visitor, void *arg);

/* --- memory: areas that the program brings, or sets aside --- */

typedef void *mi_arena_id_t;

int mi_reserve_os_memory(size_t size, bool commit, bool allow_large) mi_attr_noexcept;
int mi_reserve_os_memory_ex(size_t size, bool commit, bool allow_large, bool exclusive,
                            mi_arena_id_t *arena_id) mi_attr_noexcept;
bool mi_manage_os_memory(void *start, size_t size, bool is_committed, bool is_pinned, bool is_zero,
                         int numa_node) mi_attr_noexcept;
bool mi_manage_os_memory_ex(void *start, size_t size, bool is_committed, bool is_pinned, bool is_zero, int numa_node,
                            bool exclusive, mi_arena_id_t *arena_id) mi_attr_noexcept;
typedef bool(mi_commit_fun_t)(bool commit, void *start, size_t size, bool *is_zero, void *user_arg);
bool mi_manage_memory(void *start, size_t size, bool is_committed, bool is_pinned, bool is_zero, int numa_node,
                      bool exclusive, mi_commit_fun_t *commit_fun, void *commit_fun_arg,
                      mi_arena_id_t *arena_id) mi_attr_noexcept;
mi_heap_t *mi_heap_new_in_arena(mi_arena_id_t arena_id);
void *mi_arena_area(mi_arena_id_t arena_id, size_t *size);
bool mi_arena_contains(mi_arena_id_t arena_id, const void *p);
size_t mi_arena_min_alignment(void);
size_t mi_arena_min_size(void);
void mi_arenas_print(void) mi_attr_noexcept;
void mi_debug_show_arenas(void) mi_attr_noexcept;

int mi_reserve_huge_os_pages_interleave(size_t pages, size_t numa_nodes, size_t timeout_msecs) mi_attr_noexcept;
int mi_reserve_huge_os_pages_at(size_t pages, int numa_node, size_t timeout_msecs) mi_attr_noexcept;
int mi_reserve_huge_os_pages_at_ex(size_t pages, int numa_node, size_t timeout_msecs, bool exclusive,
                                   mi_arena_id_t *arena_id) mi_attr_noexcept;
int mi_reserve_huge_os_pages(size_t pages, double max_secs, size_t *pages_reserved) mi_attr_noexcept;

/* --- the process, its threads, what it says --- */

int mi_version(void) mi_attr_noexcept;
bool mi_is_redirected(void) mi_attr_noexcept;
void mi_collect(bool force) mi_attr_noexcept;
void mi_collect_reduce(size_t target_thread_owned) mi_attr_noexcept;
void mi_process_init(void) mi_attr_noexcept;
void mi_process_done(void) mi_attr_noexcept;
void mi_thread_init(void) mi_attr_noexcept;
void mi_thread_done(void) mi_attr_noexcept;
void mi_thread_set_in_threadpool(void) mi_attr_noexcept;

/* Called now and then from slow allocations, to free what the program has put off; force: by mi_collect(true). */
typedef void(mi_deferred_free_fun)(bool force, unsigned long long heartbeat, void *arg);
void mi_register_deferred_free(mi_deferred_free_fun *deferred_free, void *arg) mi_attr_noexcept;

/* Where messages go; null: stderr. */
typedef void(mi_output_fun)(const char *msg, void *arg);
void mi_register_output(mi_output_fun *out, void *arg) mi_attr_noexcept;

/* Told of errors: EAGAIN double free, EINVAL not an object, EFAULT corrupted, ENOMEM out of memory, EOVERFLOW count *
 * size. */
typedef void(mi_error_fun)(int err, void *arg);
void mi_register_error(mi_error_fun *fun, void *arg);

void mi_process_info(size_t *elapsed_msecs, size_t *user_msecs, size_t *system_msecs, size_t *current_rss,
                     size_t *peak_rss, size_t *current_commit, size_t *peak_commit,
                     size_t *page_faults) mi_attr_noexcept;
void mi_process_info_print(void) mi_attr_noexcept;
void mi_process_info_print_out(mi_output_fun *out, void *arg) mi_attr_noexcept;
void mi_stats_reset(void) mi_attr_noexcept;
void mi_stats_merge(void) mi_attr_noexcept;
void mi_stats_print(void *out) mi_attr_noexcept;
void mi_stats_print_out(mi_output_fun *out, void *arg) mi_attr_noexcept;
void mi_thread_stats_print_out(mi_output_fun *out, void *arg) mi_attr_noexcept;
void mi_options_print(void) mi_attr_noexcept;
void mi_options_print_out(mi_output_fun *out, void *arg) mi_attr_noexcept;

/* --- sub-processes: all are the one process --- */

#if WEIR_MIMALLOC == 2
typedef void *mi_subproc_id_t;
#else
typedef struct {
    void *_mi_subproc_id;
} mi_subproc_id_t;
#endif

mi_subproc_id_t mi_subproc_main(void);
mi_subproc_id_t mi_subproc_current(void);
mi_subproc_id_t mi_subproc_new(void);
void mi_subproc_destroy(mi_subproc_id_t subproc);
void mi_subproc_delete(mi_subproc_id_t subproc);
void mi_subproc_add_current_thread(mi_subproc_id_t subproc);
typedef bool(mi_heap_visit_fun)(mi_heap_t *heap, void *arg);
bool mi_subproc_visit_heaps(mi_subproc_id_t subproc, mi_heap_visit_fun *visitor, void *arg);
bool mi_abandoned_visit_blocks(mi_subproc_id_t subproc_id, int heap_tag, bool visit_blocks, mi_block_visit_fun *visitor,
                               void *arg);

/* --- theaps: heaps as one thread sees them; here, the heaps themselves --- */

#if WEIR_MIMALLOC == 2
typedef mi_heap_t mi_theap_t;
#else
struct mi_theap_s;
typedef struct mi_theap_s mi_theap_t;
#endif

mi_theap_t *mi_heap_theap(mi_heap_t *heap);
mi_theap_t *mi_theap_get_default(void);
mi_theap_t *mi_theap_set_default(mi_theap_t *theap);
void mi_theap_collect(mi_theap_t *theap, bool force) mi_attr_noexcept;
bool mi_theap_visit_blocks(const mi_theap_t *theap, bool visit_blocks, mi_block_visit_fun *visitor, void *arg);
void *mi_theap_malloc(mi_theap_t *theap, size_t size) WEIR_MI_OBJECT(2);
void *mi_theap_zalloc(mi_theap_t *theap, size_t size) WEIR_MI_OBJECT(2);
void *mi_theap_calloc(mi_theap_t *theap, size_t count, size_t size) WEIR_MI_ARRAY(2, 3);
void *mi_theap_malloc_small(mi_theap_t *theap, size_t size) WEIR_MI_OBJECT(2);
void *mi_theap_zalloc_small(mi_theap_t *theap, size_t size) WEIR_MI_OBJECT(2);
void *mi_theap_malloc_aligned(mi_theap_t *theap, size_t size, size_t alignment) WEIR_MI_ALIGNED(2, 3);
void *mi_theap_realloc(mi_theap_t *theap, void *p, size_t newsize) WEIR_MI_RESIZED(3);

/* Guard pages: weir has none, these do nothing. */
void mi_heap_guarded_set_sample_rate(mi_heap_t *heap, size_t sample_rate, size_t seed);
void mi_heap_guarded_set_size_bound(mi_heap_t *heap, size_t min, size_t max);
void mi_theap_guarded_set_sample_rate(mi_theap_t *theap, size_t sample_rate, size_t seed);
void mi_theap_guarded_set_size_bound(mi_theap_t *theap, size_t min, size_t max);

/* --- options --- */

typedef enum mi_option_e {
    mi_option_show_errors,
    mi_option_show_stats,
    mi_option_verbose,
    mi_option_eager_commit,
    mi_option_arena_eager_commit,
    mi_option_purge_decommits,
    mi_option_allow_large_os_pages,
    mi_option_reserve_huge_os_pages,
    mi_option_reserve_huge_os_pages_at,
    mi_option_reserve_os_memory,
    mi_option_deprecated_segment_cache,
    mi_option_deprecated_page_reset,
    mi_option_abandoned_page_purge,
    mi_option_deprecated_segment_reset,
    mi_option_eager_commit_delay,
    mi_option_purge_delay,
    mi_option_use_numa_nodes,
    mi_option_disallow_os_alloc,
    mi_option_os_tag,
    mi_option_max_errors,
    mi_option_max_warnings,
    mi_option_max_segment_reclaim,
    mi_option_destroy_on_exit,
    mi_option_arena_reserve,
    mi_option_arena_purge_mult,
    mi_option_purge_extend_delay,
    mi_option_disallow_arena_alloc,
    mi_option_retry_on_oom,
    mi_option_visit_abandoned,
    mi_option_guarded_min,
    mi_option_guarded_max,
    mi_option_guarded_precise,
    mi_option_guarded_sample_rate,
    mi_option_guarded_sample_seed,
    mi_option_generic_collect,
    mi_option_page_reclaim_on_free,
    mi_option_page_full_retain,
    mi_option_page_max_candidates,
    mi_option_max_vabits,
    mi_option_pagemap_commit,
    mi_option_page_commit_on_demand,
    mi_option_page_max_reclaim,
    mi_option_page_cross_thread_max_reclaim,
    mi_option_allow_thp,
    mi_option_minimal_purge_size,
    mi_option_arena_max_object_size,
    mi_option_arena_is_numa_local,
    mi_option_abandoned_reclaim_on_free, /* of version 2 */
    mi_option_target_segments_per_thread,
    _mi_option_last,

    /* other names of the same */
    mi_option_deprecated_eager_commit = mi_option_eager_commit,
    mi_option_deprecated_abandoned_page_purge = mi_option_abandoned_page_purge,
    mi_option_deprecated_eager_commit_delay = mi_option_eager_commit_delay,
    mi_option_deprecated_max_segment_reclaim = mi_option_max_segment_reclaim,
    mi_option_deprecated_purge_extend_delay = mi_option_purge_extend_delay,
    mi_option_large_os_pages = mi_option_allow_large_os_pages,
    mi_option_eager_region_commit = mi_option_arena_eager_commit,
    mi_option_reset_decommits = mi_option_purge_decommits,
    mi_option_reset_delay = mi_option_purge_delay,
    mi_option_abandoned_page_reset = mi_option_abandoned_page_purge,
    mi_option_limit_os_alloc = mi_option_disallow_os_alloc
} mi_option_t;

bool mi_option_is_enabled(mi_option_t which);
void mi_option_enable(mi_option_t which);
void mi_option_disable(mi_option_t which);
void mi_option_set_enabled(mi_option_t which, bool enable);
void mi_option_set_enabled_default(mi_option_t which, bool enable);
long mi_option_get(mi_option_t which);
long mi_option_get_clamp(mi_option_t which, long min, long max);
size_t mi_option_get_size(mi_option_t which);
void mi_option_set(mi_option_t which, long value);
void mi_option_set_default(mi_option_t which, long value);

#ifdef __cplusplus
}
#endif

/* --- typed allocation --- */

#define mi_malloc_tp(tp)     ((tp *)mi_malloc(sizeof(tp)))
#define mi_zalloc_tp(tp)     ((tp *)mi_zalloc(sizeof(tp)))
#define mi_calloc_tp(tp, n)  ((tp *)mi_calloc(n, sizeof(tp)))
#define mi_mallocn_tp(tp, n) ((tp *)mi_mallocn(n, sizeof(tp)))
#if WEIR_MIMALLOC == 2
#define mi_reallocn_tp(p, tp, n)          ((tp *)mi_reallocn(p, n, sizeof(tp)))
#define mi_recalloc_tp(p, tp, n)          ((tp *)mi_recalloc(p, n, sizeof(tp)))
#define mi_heap_malloc_tp(hp, tp)         ((tp *)mi_heap_malloc(hp, sizeof(tp)))
#define mi_heap_zalloc_tp(hp, tp)         ((tp *)mi_heap_zalloc(hp, sizeof(tp)))
#define mi_heap_calloc_tp(hp, tp, n)      ((tp *)mi_heap_calloc(hp, n, sizeof(tp)))
#define mi_heap_mallocn_tp(hp, tp, n)     ((tp *)mi_heap_mallocn(hp, n, sizeof(tp)))
#define mi_heap_reallocn_tp(hp, p, tp, n) ((tp *)mi_heap_reallocn(hp, p, n, sizeof(tp)))
#define mi_heap_recalloc_tp(hp, p, tp, n) ((tp *)mi_heap_recalloc(hp, p, n, sizeof(tp)))
#else
#define mi_reallocn_tp(tp, p, n)          ((tp *)mi_reallocn(p, n, sizeof(tp)))
#define mi_recalloc_tp(tp, p, n)          ((tp *)mi_recalloc(p, n, sizeof(tp)))
#define mi_heap_malloc_tp(tp, hp)         ((tp *)mi_heap_malloc(hp, sizeof(tp)))
#define mi_heap_zalloc_tp(tp, hp)         ((tp *)mi_heap_zalloc(hp, sizeof(tp)))
#define mi_heap_calloc_tp(tp, hp, n)      ((tp *)mi_heap_calloc(hp, n, sizeof(tp)))
#define mi_heap_mallocn_tp(tp, hp, n)     ((tp *)mi_heap_mallocn(hp, n, sizeof(tp)))
#define mi_heap_reallocn_tp(tp, hp, p, n) ((tp *)mi_heap_reallocn(hp, p, n, sizeof(tp)))
#define mi_heap_recalloc_tp(tp, hp, p, n) ((tp *)mi_heap_recalloc(hp, p, n, sizeof(tp)))
#endif

/* --- allocators for the containers of C++ --- */

#ifdef __cplusplus
#include <memory>
#include <type_traits>

#define MI_HAS_HEAP_STL_ALLOCATOR 1

/* From the default heap: all of them are equal. */
template <class T> struct mi_stl_allocator {
    typedef T value_type;
    using propagate_on_container_copy_assignment = std::true_type;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;
    using is_always_equal = std::true_type;
    template <class U> struct rebind {
        typedef mi_stl_allocator<U> other;
    };

    mi_stl_allocator() noexcept = default;
    mi_stl_allocator(const mi_stl_allocator &) noexcept = default;
    template <class U> mi_stl_allocator(const mi_stl_allocator<U> &) noexcept
    {
    }
    mi_stl_allocator &operator=(const mi_stl_allocator &) noexcept = default;

    T *allocate(std::size_t count, const void * = nullptr)
    {
        return static_cast<T *>(weir_mi_new_array(nullptr, count, sizeof(T), alignof(T)));
    }
    void deallocate(T *p, std::size_t)
    {
        mi_free(p);
    }
    std::size_t max_size() const noexcept
    {
        return PTRDIFF_MAX / sizeof(T);
    }
};

template <class T, class U> bool operator==(const mi_stl_allocator<T> &, const mi_stl_allocator<U> &) noexcept
{
    return true;
}
template <class T, class U> bool operator!=(const mi_stl_allocator<T> &, const mi_stl_allocator<U> &) noexcept
{
    return false;
}

/* From one heap: one of its own, which ends with the last copy of the allocator, or the one it was given. With
 * `destroys`, memory comes back only when the heap ends. */
template <class T, bool destroys> struct weir_mi_heap_allocator {
    typedef T value_type;
    using propagate_on_container_copy_assignment = std::true_type;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;
    using is_always_equal = std::false_type;

    T *allocate(std::size_t count, const void * = nullptr)
    {
        return static_cast<T *>(weir_mi_new_array(heap.get(), count, sizeof(T), alignof(T)));
    }
    void deallocate(T *p, std::size_t)
    {
        if (!destroys)
            mi_free(p);
    }
    std::size_t max_size() const noexcept
    {
        return PTRDIFF_MAX / sizeof(T);
    }
    void collect(bool force)
    {
        mi_heap_collect(heap.get(), force);
    }
    template <class U> bool is_equal(const weir_mi_heap_allocator<U, destroys> &other) const
    {
        return heap == other.heap;
    }

  protected:
    std::shared_ptr<mi_heap_t> heap;
    template <class U, bool other> friend struct weir_mi_heap_allocator;

    weir_mi_heap_allocator() : heap(mi_heap_new(), end)
    {
    }
    explicit weir_mi_heap_allocator(mi_heap_t *given) : heap(given, [](mi_heap_t *) {})
    {
    }
    weir_mi_heap_allocator(const weir_mi_heap_allocator &) noexcept = default;
    weir_mi_heap_allocator &operator=(const weir_mi_heap_allocator &) noexcept = default;
    template <class U>
    weir_mi_heap_allocator(const weir_mi_heap_allocator<U, destroys> &other) noexcept : heap(other.heap)
    {
    }

  private:
    static void end(mi_heap_t *heap)
    {
        if (destroys)
            mi_heap_destroy(heap);
        else
            mi_heap_delete(heap);
    }
};

template <class T> struct mi_heap_stl_allocator : public weir_mi_heap_allocator<T, false> {
    template <class U> struct rebind {
        typedef mi_heap_stl_allocator<U> other;
    };
    mi_heap_stl_allocator() = default;
    mi_heap_stl_allocator(mi_heap_t *given) : weir_mi_heap_allocator<T, false>(given)
    {
    }
    template <class U>
    mi_heap_stl_allocator(const mi_heap_stl_allocator<U> &other) noexcept : weir_mi_heap_allocator<T, false>(other)
    {
    }
};

template <class T> struct mi_heap_destroy_stl_allocator : public weir_mi_heap_allocator<T, true> {
    template <class U> struct rebind {
        typedef mi_heap_destroy_stl_allocator<U> other;
    };
    mi_heap_destroy_stl_allocator() = default;
    mi_heap_destroy_stl_allocator(mi_heap_t *given) : weir_mi_heap_allocator<T, true>(given)
    {
    }
    template <class U>
    mi_heap_destroy_stl_allocator(const mi_heap_destroy_stl_allocator<U> &other) noexcept
        : weir_mi_heap_allocator<T, true>(other)
    {
    }
};

template <class T, class U>
bool operator==(const mi_heap_stl_allocator<T> &x, const mi_heap_stl_allocator<U> &y) noexcept
{
    return x.is_equal(y);
}
template <class T, class U>
bool operator!=(const mi_heap_stl_allocator<T> &x, const mi_heap_stl_allocator<U> &y) noexcept
{
    return !x.is_equal(y);
}
template <class T, class U>
bool operator==(const mi_heap_destroy_stl_allocator<T> &x, const mi_heap_destroy_stl_allocator<U> &y) noexcept
{
    return x.is_equal(y);
}
template <class T, class U>
bool operator!=(const mi_heap_destroy_stl_allocator<T> &x, const mi_heap_destroy_stl_allocator<U> &y) noexcept
{
    return !x.is_equal(y);
}

#endif

#endif
