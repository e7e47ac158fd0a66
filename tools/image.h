/*
 * Reading ELF files: whether a file is a bootable image, what it says about itself, and its functions' names.
 *
 * The file is mapped and may hold anything: no offset in it is followed before it was compared with the file's size.
 */
#ifndef WEIR_TOOLS_IMAGE_H
#define WEIR_TOOLS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image {
    const unsigned char *data;
    size_t size;
};

enum image_kind {
    IMAGE_BOOTABLE, /* an x86-64 executable with the PVH note */
    IMAGE_NOT_PVH,  /* an executable, but not for a bare machine */
    IMAGE_OBJECT,   /* to be linked first: .o */
    IMAGE_NOT_ELF,
};

/* Returns 0 or an errno. An empty file is mapped as no bytes. */
int image_open(struct image *image, const char *path);
void image_close(struct image *image);

enum image_kind image_kind(const struct image *image);

/* The value of `key` in section .weir.info ("malloc=weir"), or null. It ends with a NUL inside the mapping. */
const char *image_info(const struct image *image, const char *key);

/* One function of the image. The name lies in the mapping. */
struct image_function {
    uint64_t address;
    uint64_t size;
    const char *name;
    bool global;
};

/* All functions with a name, in the order of the symbol table; returns their number, *functions for free(). */
size_t image_functions(const struct image *image, struct image_function **functions);

#endif
