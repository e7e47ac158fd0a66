/*
 * The guest's fast paths of malloc and free: one heap per CPU, no lock, no count of who must not be preempted.
 *
 * A thread may lose its CPU between any two instructions, and another thread that then runs there uses the same heap.
 * So what must not be torn is a restartable sequence: a few instructions that read the CPU's heap at %gs:CPU_HEAP,
 * look, and change it with one last store, the commit. A thread that is preempted within one is moved back to its
 * beginning before anything else runs on that CPU (sequence.c), wherever it then goes on. Hence the rules:
 *
 *     (1) a sequence does not change its inputs
 *     (2) what it stores before the commit is nobody else's (an object that is being freed), or is undone
 *     (3) it contains no call and touches no memory that may fault
 *
 * malloc's pop reads the bin and the object's link and commits the link as the new bin. free's push lowers the slab's
 * countdown and commits the object as the head of its list; between these two the countdown is one too low, and whoever
 * moves the thread back raises it again. When it reaches zero the sequence ends by pinning the thread to the CPU. All
 * slow paths run pinned: a thread whose preempt count is not zero stays where it is.
 *
 * What finds the slab of a pointer is the same on every CPU and stands outside of the sequence: the object is the
 * caller's, so its slab stays what it is; and of a pointer that is wrong the sequence believes nothing but the owner
 * word, in a descriptor that remains one forever.
 */
#ifndef WEIR_KERNEL_CPU_HEAP_H
#define WEIR_KERNEL_CPU_HEAP_H

#include "platform/kernel/layout.h"
#include "platform/kernel/sequence.h"
#include "src/heap/fast.h"

/* Owns nothing and never will, like weir_heap_empty, but knows the frame map: as every CPU's heap does, at an address
 * that the linker knows. */
extern struct weir_heap cpu_heap_map;

/* The CPU's heap comes back within reach of its threads; the caller is pinned. */
__attribute__((noinline, cold)) struct weir_heap *cpu_heap_return(void);

/* The CPU's heap for one operation in a slow path, while the thread is pinned; weir_heap_empty without memory. Then
 * thread_leave. */
static inline struct weir_heap *thread_enter(void)
{
    struct weir_heap *heap;
    lock_pin();
    __asm__ volatile("mov %%gs:%c1, %0" : "=r"(heap) : "i"(CPU_HEAP) : "memory");
    return likely(heap->arena != NULL) ? heap : cpu_heap_return();
}

static inline void thread_leave(struct weir_heap *heap)
{
    (void)heap;
    lock_unpin();
}

/* A slab's countdown is at its end, and the thread is pinned: does what is due, and unpins it. */
__attribute__((noinline, cold)) void cpu_heap_slab_event(struct slab *slab);

static inline void *thread_pop_class(uint64_t class)
{
    struct weir_heap *heap;
    struct object *object, *next;
    __asm__ volatile goto("1: mov %%gs:%c[here], %[heap]\n\t"
                          "mov %c[bin](%[heap], %[class], 8), %[object]\n\t"
                          "test %[object], %[object]\n\t"
                          "jz %l[empty]\n\t"
                          "mov (%[object]), %[next]\n\t"
                          "mov %[next], %c[bin](%[heap], %[class], 8)\n"
                          "2:\n\t" SEQUENCE("1b", "2b", "1b", "0")
                          : [heap] "=&r"(heap), [object] "=&a"(object), [next] "=&r"(next)
                          : [class] "r"(class), [here] "i"(CPU_HEAP), [bin] "i"(offsetof(struct weir_heap, bin))
                          : "memory", "cc"
                          : empty);
    object->next = NULL;
    return object;
empty:
    return NULL;
}

static inline void *thread_pop_tabled(size_t size)
{
    return thread_pop_class(class_of_granules[(size + GRANULE - 1) / GRANULE]);
}

static inline void *thread_pop(size_t size)
{
    return thread_pop_class(class_of(size));
}

/* The frame's word as it is, in %rax, saves taking its mark off. */
static inline bool thread_push_slab(struct slab *slab, void *object)
{
    uintptr_t scratch;
    __asm__ volatile goto(
        "1: mov %%gs:%c[here], %[scratch]\n\t"
        "cmp %[scratch], %c[owner](%[slab])\n\t"
        "jne %l[slow]\n\t"
        "mov %c[free](%[slab]), %[scratch]\n\t"
        "cmp %[object], %[scratch]\n\t"
        "je %l[slow]\n\t"
        "mov %[scratch], (%[object])\n\t"
        "decw %c[left](%[slab])\n"
        "2: jz 4f\n\t"
        "mov %[object], %c[free](%[slab])\n"
        "3:\n\t"
        ".pushsection .text.unlikely, \"ax\", @progbits\n"
        "4: incl %%gs:%c[preempt]\n"
        "5: mov %[object], %c[free](%[slab])\n\t"
        "jmp %l[event]\n\t"
        ".popsection\n\t" SEQUENCE("1b", "2b", "1b", "0") SEQUENCE("2b", "3b", "1b", "%c[left]")
            SEQUENCE("4b", "5b", "1b", "%c[left]")
        : [scratch] "=&r"(scratch)
        : [slab] "a"((uintptr_t)slab + WORD_SLAB), [object] "r"(object), [here] "i"(CPU_HEAP),
          [preempt] "i"(CPU_PREEMPT), [owner] "i"(offsetof(struct slab, owner) - WORD_SLAB),
          [free] "i"(offsetof(struct slab, free) - WORD_SLAB), [left] "i"(offsetof(struct slab, left) - WORD_SLAB)
        : "memory", "cc"
        : slow, event);
    return true;
event:
    cpu_heap_slab_event(slab);
    return true;
slow:
    return false;
}

static inline bool thread_push(void *object, struct slab **slab)
{
    if (likely(heap_find_slab(&cpu_heap_map, object, slab)))
        return likely(thread_push_slab(*slab, object));
    *slab = NULL;
    return false;
}

static inline bool thread_push_tabled(void *object, size_t size)
{
    struct slab *slab;
    return likely(heap_find_slab(&cpu_heap_map, object, &slab)) &&
           likely(slab->class == class_of_granules[(size + GRANULE - 1) / GRANULE]) &&
           likely(thread_push_slab(slab, object));
}

static inline bool thread_push_other(struct slab *slab, void *object)
{
    struct weir_heap *heap = thread_enter();
    bool pushed = heap_push_other(heap, slab, object);
    thread_leave(heap);
    return pushed;
}

#endif
