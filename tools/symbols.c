#include "tools/symbols.h"

#include "tools/message.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The best name of an address comes first: global before local, one with a size before one without, the shorter one. */
static int compare(const void *left, const void *right)
{
    const struct image_function *a = left;
    const struct image_function *b = right;
    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    if (a->global != b->global)
        return a->global ? -1 : 1;
    if ((a->size > 0) != (b->size > 0))
        return a->size > 0 ? -1 : 1;
    const size_t a_length = strlen(a->name);
    const size_t b_length = strlen(b->name);
    return a_length != b_length ? (a_length < b_length ? -1 : 1) : strcmp(a->name, b->name);
}

/* Of the C++ runtime: null if `name` is no mangled name. */
char *__cxa_demangle(const char *name, char *buffer, size_t *length, int *status);

/* As a person would write the name; templates of templates are cut short. */
static void write_name(FILE *file, const char *name)
{
    char *plain = strncmp(name, "_Z", 2) == 0 ? __cxa_demangle(name, NULL, NULL, NULL) : NULL;
    fprintf(file, "%.*s", SYMBOLS_NAME_LIMIT, plain != NULL ? plain : name);
    fputc('\0', file);
    free(plain);
}

static void write_word(FILE *file, uint64_t word)
{
    const unsigned char bytes[4] = {word & 0xff, word >> 8 & 0xff, word >> 16 & 0xff, word >> 24 & 0xff};
    fwrite(bytes, 1, sizeof bytes, file);
}

void symbols_write(FILE *file, struct image_function *functions, size_t count)
{
    if (count > 0)
        qsort(functions, count, sizeof *functions, compare);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (functions[i].address <= UINT32_MAX && (kept == 0 || functions[kept - 1].address != functions[i].address))
            functions[kept++] = functions[i];
    char *names = NULL;
    size_t length = 0;
    FILE *name_file = open_memstream(&names, &length);
    if (name_file == NULL)
        exit(fail(EXIT_TOOL, "out of memory"));
    write_word(file, kept);
    for (size_t i = 0; i < kept; i++) {
        write_word(file, functions[i].address);
        write_word(file, (uint64_t)ftell(name_file));
        write_name(name_file, functions[i].name);
    }
    fclose(name_file);
    fwrite(names, 1, length, file);
    free(names);
}
