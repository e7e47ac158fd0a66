#include "tools/image.h"

#include "tools/message.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTE_PVH_ENTRY 18

int image_open(struct image *image, const char *path)
{
    *image = (struct image){0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    struct stat info;
    int error = fstat(fd, &info) != 0 ? errno : S_ISDIR(info.st_mode) ? EISDIR : 0;
    if (error == 0 && info.st_size > 0) {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            error = errno;
        else
            *image = (struct image){.data = data, .size = (size_t)info.st_size};
    }
    close(fd);
    return error;
}

void image_close(struct image *image)
{
    if (image->data != NULL)
        munmap((void *)image->data, image->size);
    *image = (struct image){0};
}

/* `count` things of `size` bytes at `offset`, if they lie in the file. */
static const void *at(const struct image *image, uint64_t offset, uint64_t count, uint64_t size)
{
    if (offset > image->size || count > (image->size - offset) / size)
        return NULL;
    return image->data + offset;
}

/* Nothing in the file needs to be aligned: headers are copied out. */
static bool copy(const struct image *image, uint64_t offset, void *to, size_t size)
{
    const void *from = at(image, offset, 1, size);
    if (from != NULL)
        memcpy(to, from, size);
    return from != NULL;
}

static bool header(const struct image *image, Elf64_Ehdr *elf)
{
    return copy(image, 0, elf, sizeof *elf) && memcmp(elf->e_ident, ELFMAG, SELFMAG) == 0 &&
           elf->e_ident[EI_CLASS] == ELFCLASS64 && elf->e_ident[EI_DATA] == ELFDATA2LSB && elf->e_machine == EM_X86_64;
}

static bool note_is_pvh(const struct image *image, uint64_t offset, uint64_t size)
{
    const uint64_t end = offset + size;
    Elf64_Nhdr note;
    while (end >= offset && end - offset >= sizeof note && copy(image, offset, &note, sizeof note)) {
        char name[4];
        if (note.n_type == NOTE_PVH_ENTRY && note.n_namesz == sizeof name &&
            copy(image, offset + sizeof note, name, sizeof name) && memcmp(name, "Xen", 4) == 0)
            return true;
        offset += sizeof note + (((uint64_t)note.n_namesz + 3) & ~3ull) + (((uint64_t)note.n_descsz + 3) & ~3ull);
    }
    return false;
}

enum image_kind image_kind(const struct image *image)
{
    Elf64_Ehdr elf;
    if (!header(image, &elf))
        return IMAGE_NOT_ELF;
    if (elf.e_type == ET_REL)
        return IMAGE_OBJECT;
    for (unsigned i = 0; i < elf.e_phnum; i++) {
        Elf64_Phdr segment;
        if (!copy(image, elf.e_phoff + (uint64_t)i * elf.e_phentsize, &segment, sizeof segment))
            break;
        if (segment.p_type == PT_NOTE && note_is_pvh(image, segment.p_offset, segment.p_filesz))
            return IMAGE_BOOTABLE;
    }
    return IMAGE_NOT_PVH;
}

static bool section_at(const struct image *image, const Elf64_Ehdr *elf, unsigned index, Elf64_Shdr *section)
{
    return index < elf->e_shnum &&
           copy(image, elf->e_shoff + (uint64_t)index * elf->e_shentsize, section, sizeof *section) &&
           (section->sh_type == SHT_NOBITS || at(image, section->sh_offset, section->sh_size, 1) != NULL);
}

/* The string at `offset` of a string table, if it ends in it. */
static const char *string(const struct image *image, const Elf64_Shdr *strings, uint64_t offset)
{
    if (strings->sh_type != SHT_STRTAB || offset >= strings->sh_size)
        return NULL;
    const char *text = (const char *)image->data + strings->sh_offset + offset;
    return memchr(text, '\0', strings->sh_size - offset) != NULL ? text : NULL;
}

static bool section_named(const struct image *image, const char *name, Elf64_Shdr *section)
{
    Elf64_Ehdr elf;
    Elf64_Shdr names;
    if (!header(image, &elf) || !section_at(image, &elf, elf.e_shstrndx, &names))
        return false;
    for (unsigned i = 0; i < elf.e_shnum; i++) {
        const char *found = section_at(image, &elf, i, section) ? string(image, &names, section->sh_name) : NULL;
        if (found != NULL && strcmp(found, name) == 0)
            return section->sh_type != SHT_NOBITS;
    }
    return false;
}

const char *image_info(const struct image *image, const char *key)
{
    Elf64_Shdr section;
    if (!section_named(image, ".weir.info", &section))
        return NULL;
    const char *text = (const char *)image->data + section.sh_offset;
    const char *end = text + section.sh_size;
    const size_t length = strlen(key);
    while (text < end) {
        const char *stop = memchr(text, '\0', (size_t)(end - text));
        if (stop == NULL)
            return NULL;
        if ((size_t)(stop - text) > length && memcmp(text, key, length) == 0 && text[length] == '=')
            return text + length + 1;
        text = stop + 1;
    }
    return NULL;
}

static size_t functions_of(const struct image *image, const Elf64_Shdr *symbols, const Elf64_Shdr *strings,
                           struct image_function *functions)
{
    size_t count = 0;
    for (uint64_t i = 0; i < symbols->sh_size / sizeof(Elf64_Sym); i++) {
        Elf64_Sym symbol;
        if (!copy(image, symbols->sh_offset + i * sizeof symbol, &symbol, sizeof symbol) ||
            ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF)
            continue;
        const char *name = string(image, strings, symbol.st_name);
        if (name != NULL && *name != '\0')
            functions[count++] = (struct image_function){.address = symbol.st_value,
                                                         .size = symbol.st_size,
                                                         .name = name,
                                                         .global = ELF64_ST_BIND(symbol.st_info) != STB_LOCAL};
    }
    return count;
}

size_t image_functions(const struct image *image, struct image_function **functions)
{
    Elf64_Ehdr elf;
    *functions = NULL;
    if (!header(image, &elf))
        return 0;
    for (unsigned i = 0; i < elf.e_shnum; i++) {
        Elf64_Shdr symbols;
        Elf64_Shdr strings;
        if (!section_at(image, &elf, i, &symbols) || symbols.sh_type != SHT_SYMTAB ||
            !section_at(image, &elf, symbols.sh_link, &strings))
            continue;
        *functions = must_alloc((symbols.sh_size / sizeof(Elf64_Sym) + 1) * sizeof **functions);
        return functions_of(image, &symbols, &strings, *functions);
    }
    return 0;
}
