/* Turns a source file's malloc, free and their kin into mimalloc's names, which weir serves; see mimalloc.h. Not needed
 * where libweir itself replaces malloc. Objects that other files allocated are understood if libweir allocated them. */
#ifndef MIMALLOC_OVERRIDE_H
#define MIMALLOC_OVERRIDE_H

#include <mimalloc.h>

/* ISO C, POSIX, GNU, BSD */
#define malloc(n)                mi_malloc(n)
#define calloc(c, n)             mi_calloc(c, n)
#define realloc(p, n)            mi_realloc(p, n)
#define free(p)                  mi_free(p)
#define aligned_alloc(a, n)      mi_aligned_alloc(a, n)
#define posix_memalign(p, a, n)  mi_posix_memalign(p, a, n)
#define memalign(a, n)           mi_memalign(a, n)
#define valloc(n)                mi_valloc(n)
#define pvalloc(n)               mi_pvalloc(n)
#define cfree(p)                 mi_free(p)
#define reallocf(p, n)           mi_reallocf(p, n)
#define reallocarray(p, c, n)    mi_reallocarray(p, c, n)
#define reallocarr(p, c, n)      mi_reallocarr(p, c, n)
#define malloc_size(p)           mi_usable_size(p)
#define malloc_usable_size(p)    mi_usable_size(p)
#define malloc_good_size(n)      mi_malloc_good_size(n)
#define strdup(s)                mi_strdup(s)
#define strndup(s, n)            mi_strndup(s, n)
#define realpath(f, r)           mi_realpath(f, r)
#define _posix_memalign(p, a, n) mi_posix_memalign(p, a, n)

/* Microsoft's */
#define _expand(p, n)                           mi_expand(p, n)
#define _msize(p)                               mi_usable_size(p)
#define _recalloc(p, c, n)                      mi_recalloc(p, c, n)
#define _strdup(s)                              mi_strdup(s)
#define _strndup(s, n)                          mi_strndup(s, n)
#define _wcsdup(s)                              mi_wcsdup(s)
#define _mbsdup(s)                              mi_mbsdup(s)
#define _dupenv_s(b, n, name)                   mi_dupenv_s(b, n, name)
#define _wdupenv_s(b, n, name)                  mi_wdupenv_s(b, n, name)
#define _aligned_malloc(n, a)                   mi_malloc_aligned(n, a)
#define _aligned_realloc(p, n, a)               mi_realloc_aligned(p, n, a)
#define _aligned_recalloc(p, c, n, a)           mi_aligned_recalloc(p, c, n, a)
#define _aligned_msize(p, a, o)                 mi_usable_size(p)
#define _aligned_free(p)                        mi_free(p)
#define _aligned_offset_malloc(n, a, o)         mi_malloc_aligned_at(n, a, o)
#define _aligned_offset_realloc(p, n, a, o)     mi_realloc_aligned_at(p, n, a, o)
#define _aligned_offset_recalloc(p, c, n, a, o) mi_recalloc_aligned_at(p, c, n, a, o)

#endif
