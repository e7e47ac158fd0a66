/*
 * C++: operator new and delete in all their forms, under their mangled names, so that nothing of the C++ library is
 * needed. When memory is out, new calls the program's new handler for as long as there is one, then throws
 * std::bad_alloc; a program without the C++ library has neither, and ends.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/faces.h"

typedef void (*new_handler)(void);
new_handler get_new_handler(void) __asm__("_ZSt15get_new_handlerv") __attribute__((weak));
void throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv") __attribute__((weak, noreturn));

/* Calls the handler; false if it threw (handler.cc). */
bool handler_returns(new_handler handler);

/* What the handler throws goes on to the caller, but not out of the nothrow forms. */
bool face_new_refused(bool nothrow)
{
    new_handler handler = get_new_handler ? get_new_handler() : NULL;
    if (handler && nothrow)
        return handler_returns(handler);
    if (handler)
        handler();
    else if (nothrow)
        return false;
    else if (throw_bad_alloc)
        throw_bad_alloc();
    else
        abort();
    return true;
}

void *face_new(size_t size, size_t alignment, bool nothrow)
{
    void *object;
    do
        object = alignment <= GRANULE ? face_malloc(size) : face_aligned(alignment, size);
    while (unlikely(!object) && face_new_refused(nothrow));
    return object;
}

static inline void *new_object(size_t size, bool nothrow)
{
    void *object = likely(size <= TABLED_SIZE_MAX) ? thread_pop_tabled(size) : NULL;
    return likely(object != NULL) ? object : face_new(size, 1, nothrow);
}

static inline void delete_object(void *object)
{
    struct slab *slab;
    if (unlikely(!thread_push(object, &slab)))
        face_free(object, slab, "operator delete");
}

#define OPERATOR(name, result, parameters, body)                                                                       \
    FACE result name parameters;                                                                                       \
    FAST_FACE result name parameters                                                                                   \
    {                                                                                                                  \
        body;                                                                                                          \
    }

/* new and new[]: (size) · (size, nothrow) · (size, alignment) · (size, alignment, nothrow) */
OPERATOR(_Znwm, void *, (size_t size), return new_object(size, false))
OPERATOR(_Znam, void *, (size_t size), return new_object(size, false))
OPERATOR(_ZnwmRKSt9nothrow_t, void *, (size_t size, const void *tag), (void)tag; return new_object(size, true))
OPERATOR(_ZnamRKSt9nothrow_t, void *, (size_t size, const void *tag), (void)tag; return new_object(size, true))
OPERATOR(_ZnwmSt11align_val_t, void *, (size_t size, size_t alignment), return face_new(size, alignment, false))
OPERATOR(_ZnamSt11align_val_t, void *, (size_t size, size_t alignment), return face_new(size, alignment, false))
OPERATOR(_ZnwmSt11align_val_tRKSt9nothrow_t, void *, (size_t size, size_t alignment, const void *tag), (void)tag;
         return face_new(size, alignment, true))
OPERATOR(_ZnamSt11align_val_tRKSt9nothrow_t, void *, (size_t size, size_t alignment, const void *tag), (void)tag;
         return face_new(size, alignment, true))

/* delete and delete[]: (object) · (object, nothrow) · (object, size) · and the same three with an alignment */
OPERATOR(_ZdlPv, void, (void *object), delete_object(object))
OPERATOR(_ZdaPv, void, (void *object), delete_object(object))
OPERATOR(_ZdlPvRKSt9nothrow_t, void, (void *object, const void *tag), (void)tag; delete_object(object))
OPERATOR(_ZdaPvRKSt9nothrow_t, void, (void *object, const void *tag), (void)tag; delete_object(object))
OPERATOR(_ZdlPvm, void, (void *object, size_t size), free_with_size(object, size))
OPERATOR(_ZdaPvm, void, (void *object, size_t size), free_with_size(object, size))
OPERATOR(_ZdlPvSt11align_val_t, void, (void *object, size_t alignment), (void)alignment; delete_object(object))
OPERATOR(_ZdaPvSt11align_val_t, void, (void *object, size_t alignment), (void)alignment; delete_object(object))
OPERATOR(_ZdlPvSt11align_val_tRKSt9nothrow_t, void, (void *object, size_t alignment, const void *tag), (void)alignment;
         (void)tag; delete_object(object))
OPERATOR(_ZdaPvSt11align_val_tRKSt9nothrow_t, void, (void *object, size_t alignment, const void *tag), (void)alignment;
         (void)tag; delete_object(object))
OPERATOR(_ZdlPvmSt11align_val_t, void, (void *object, size_t size, size_t alignment),
         free_with_size(object, aligned_size(alignment, size)))
OPERATOR(_ZdaPvmSt11align_val_t, void, (void *object, size_t size, size_t alignment),
         free_with_size(object, aligned_size(alignment, size)))

/* mimalloc's name for the first of them. */
FACE void *mi_new(size_t size);
FACE void *mi_new(size_t size) __attribute__((alias("_Znwm")));
