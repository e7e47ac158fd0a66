/*
 * How C++ exceptions find the unwind tables of a static image.
 *
 * libgcc_eh.a looks for the frame description of a program counter in three places: tables registered at run time,
 * glibc's _dl_find_object, dl_iterate_phdr. The second is the best: it answers with the .eh_frame_hdr section, which
 * the linker has sorted for binary search, so that a throw takes no lock, allocates nothing and sorts nothing. An image
 * is one object, hence one answer for every address; of an address that belongs to no function the search in the table
 * says so itself.
 *
 * Where the image has no such section (linked without --eh-frame-hdr), the plain table is registered before the first
 * constructor runs. It is sorted at the first throw.
 *
 * The linker script supplies, each if it can, __eh_frame_hdr_start and __eh_frame_start (ended by four zero bytes).
 */
#include <stddef.h>

/* glibc's, x86-64: dlfcn.h there. */
struct dl_find_object {
    unsigned long long flags;
    void *map_start, *map_end;
    void *link_map;
    void *eh_frame; /* .eh_frame_hdr */
    unsigned long long reserved[7];
};

extern char __eh_frame_hdr_start[] __attribute__((weak));
extern char __eh_frame_start[] __attribute__((weak));
extern char __executable_start[] __attribute__((weak));
extern char _end[] __attribute__((weak));
void __register_frame(void *table) __attribute__((weak));

int _dl_find_object(void *address, struct dl_find_object *result)
{
    (void)address;
    if (__eh_frame_hdr_start == NULL)
        return -1;
    *result =
        (struct dl_find_object){.map_start = __executable_start, .map_end = _end, .eh_frame = __eh_frame_hdr_start};
    return 0;
}

__attribute__((constructor(101))) static void register_table(void)
{
    if (__eh_frame_hdr_start == NULL && __eh_frame_start != NULL && __register_frame != NULL)
        __register_frame(__eh_frame_start);
}
