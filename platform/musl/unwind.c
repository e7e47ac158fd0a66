/*
 * How C++ exceptions find the unwind tables of a static image.
 *
 * libgcc_eh.a looks for the frame description of a program counter in three places: tables registered at run time,
 * glibc's _dl_find_object, dl_iterate_phdr. The second is the best: it answers with the .eh_frame_hdr section, which
 * the linker has sorted for binary search, so that a throw takes no lock, allocates nothing and sorts nothing. An image
 * is one object, hence one answer for every address; of an address that belongs to no function the search in the table
 * says so itself.
 *
 * The section is found by the symbol __eh_frame_hdr_start, else by the program header PT_GNU_EH_FRAME. An image that
 * has neither (linked without --eh-frame-hdr) may name its plain table __eh_frame_start, ended by four zero bytes: it
 * is registered before the first constructor runs, and sorted at the first throw.
 */
#include <link.h>
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

static int find_header(struct dl_phdr_info *info, size_t size, void *found)
{
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
            *(void **)found = (void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    return 1;
}

int _dl_find_object(void *address, struct dl_find_object *result)
{
    (void)address;
    void *header = __eh_frame_hdr_start;
    if (header == NULL)
        dl_iterate_phdr(find_header, &header);
    if (header == NULL)
        return -1;
    *result = (struct dl_find_object){.map_start = __executable_start, .map_end = _end, .eh_frame = header};
    return 0;
}

__attribute__((constructor(101))) static void register_table(void)
{
    if (__eh_frame_hdr_start == NULL && __eh_frame_start != NULL && __register_frame != NULL)
        __register_frame(__eh_frame_start);
}
