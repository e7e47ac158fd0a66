/* What the files of mimalloc's interface share. */
#ifndef WEIR_API_MIMALLOC_H
#define WEIR_API_MIMALLOC_H

#include "api/areas.h"
#include "api/faces.h"
#include "api/text.h"
#include "include/mimalloc.h"

/* The calling thread's time with a heap: between place_enter and place_leave it is the owner. */
struct place {
    struct weir_heap *heap; /* weir_heap_empty without memory */
    struct lane *lane;      /* null: the thread's own heap */
    bool suspended;         /* which the thread had been redirected from */
};

/* Null: from where malloc allocates. */
struct place place_enter(mi_heap_t *heap);
void place_leave(struct place place);

/* Bytes that may be used at `object`; 0 if no object starts there. */
static inline size_t room_of(const void *object)
{
    struct weir_arena *arena = arena_of(object);
    return object && arena ? weir_arena_usable_size(arena, object) : 0;
}

/* Runs the program's deferred free, if it has one. */
void mimalloc_deferred(bool force);

/* Where messages go: to `sink`; if that is null, to what the program registered, else to stderr. */
void mimalloc_text(struct text *text, text_sink *sink, void *argument);

/* Gives the calling thread's malloc back to the process's heap. */
void mimalloc_leave_default(void);

#endif
