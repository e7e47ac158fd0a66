/* Reading ELF: the test's own executable for the good parts, and a small image made by hand, whole and damaged. */
#include "tests/support/random.h"
#include "tests/tools/harness.h"
#include "tools/image.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Headers, a PVH note, the notes of weir, one function. */
struct made {
    Elf64_Ehdr elf;
    Elf64_Phdr segment;
    Elf64_Shdr sections[5]; /* none, names, info, symbols, strings */
    struct {
        Elf64_Nhdr header;
        char name[4];
        uint32_t entry;
    } note;
    char names[40];
    char info[32];
    Elf64_Sym symbols[3];
    char strings[16];
};

#define PLACE(member) offsetof(struct made, member)

static Elf64_Shdr section(uint32_t name, uint32_t type, uint64_t offset, uint64_t size, uint32_t link)
{
    return (Elf64_Shdr){.sh_name = name, .sh_type = type, .sh_offset = offset, .sh_size = size, .sh_link = link};
}

static struct made make(void)
{
    struct made made = {
        .elf = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                .e_type = ET_EXEC,
                .e_machine = EM_X86_64,
                .e_phoff = PLACE(segment),
                .e_phnum = 1,
                .e_phentsize = sizeof(Elf64_Phdr),
                .e_shoff = PLACE(sections),
                .e_shnum = 5,
                .e_shentsize = sizeof(Elf64_Shdr),
                .e_shstrndx = 1},
        .segment = {.p_type = PT_NOTE, .p_offset = PLACE(note), .p_filesz = sizeof made.note},
        .note = {{4, 4, 18}, "Xen", 0x200000},
        .names = "\0.names\0.weir.info\0.symtab\0.strtab",
        .info = "malloc=weir\0weir=1",
        .strings = "\0main\0data",
    };
    made.sections[1] = section(1, SHT_STRTAB, PLACE(names), sizeof made.names, 0);
    made.sections[2] = section(8, SHT_PROGBITS, PLACE(info), sizeof made.info, 0);
    made.sections[3] = section(19, SHT_SYMTAB, PLACE(symbols), sizeof made.symbols, 4);
    made.sections[4] = section(27, SHT_STRTAB, PLACE(strings), sizeof made.strings, 0);
    made.symbols[1] = (Elf64_Sym){.st_name = 1,
                                  .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                                  .st_shndx = 1,
                                  .st_value = 0x201000,
                                  .st_size = 5};
    made.symbols[2] = (Elf64_Sym){.st_name = 6, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), .st_shndx = 1};
    return made;
}

static void test_a_good_image(void **state)
{
    (void)state;
    struct made made = make();
    const struct image image = {(const unsigned char *)&made, sizeof made};
    assert_int_equal(image_kind(&image), IMAGE_BOOTABLE);
    assert_string_equal(image_info(&image, "malloc"), "weir");
    assert_string_equal(image_info(&image, "weir"), "1");
    assert_null(image_info(&image, "mall"));
    struct image_function *functions;
    assert_int_equal(image_functions(&image, &functions), 1);
    assert_string_equal(functions[0].name, "main");
    assert_int_equal(functions[0].address, 0x201000);
    assert_true(functions[0].global);
    free(functions);
}

static void test_kinds(void **state)
{
    (void)state;
    struct made made = make();
    const struct image image = {(const unsigned char *)&made, sizeof made};
    made.note.header.n_type = 17;
    assert_int_equal(image_kind(&image), IMAGE_NOT_PVH);
    made.elf.e_type = ET_REL;
    assert_int_equal(image_kind(&image), IMAGE_OBJECT);
    made.elf.e_machine = EM_AARCH64;
    assert_int_equal(image_kind(&image), IMAGE_NOT_ELF);
    assert_int_equal(image_kind(&(struct image){0}), IMAGE_NOT_ELF);
}

static void test_a_name_without_end_is_no_name(void **state)
{
    (void)state;
    struct made *made = malloc(sizeof *made); /* to its last byte, so that a sanitizer sees who reads on */
    *made = make();
    memset(made->strings, 'x', sizeof made->strings);
    const struct image image = {(const unsigned char *)made, sizeof *made};
    struct image_function *functions;
    assert_int_equal(image_functions(&image, &functions), 0);
    free(functions);
    free(made);
}

static void test_files(void **state)
{
    (void)state;
    struct image image;
    assert_int_equal(image_open(&image, "/proc/self/exe"), 0);
    assert_int_equal(image_kind(&image), IMAGE_NOT_PVH);
    struct image_function *functions;
    const size_t count = image_functions(&image, &functions);
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += strcmp(functions[i].name, "test_files") == 0;
    assert_int_equal(found, 1);
    free(functions);
    image_close(&image);
    assert_int_not_equal(image_open(&image, "/does/not/exist"), 0);
    assert_int_not_equal(image_open(&image, "/tmp"), 0);
    assert_int_equal(image_open(&image, "/dev/null"), 0);
    assert_int_equal(image_kind(&image), IMAGE_NOT_ELF);
    image_close(&image);
}

/* Whatever a file holds, nothing outside of it is read: the sanitizers, and the exact size of the copy, would tell. */
static void test_damaged_images(void **state)
{
    (void)state;
    struct random random = random_start("image_damaged");
    for (size_t round = 0; round < random_rounds(20000); round++) {
        const size_t size =
            random_below(&random, 4) == 0 ? random_below(&random, sizeof(struct made)) : sizeof(struct made);
        const struct made made = make();
        unsigned char *data = malloc(size > 0 ? size : 1);
        memcpy(data, &made, size);
        for (uint64_t i = random_below(&random, 8); i > 0 && size > 0; i--)
            data[random_below(&random, size)] = (unsigned char)random_next(&random);
        for (uint64_t i = random_below(&random, 3); i > 0 && size >= 8; i--)
            memset(data + random_below(&random, size - 7), 0xff, random_below(&random, 9));
        const struct image image = {data, size};
        struct image_function *functions;
        image_kind(&image);
        const char *text = image_info(&image, "malloc");
        assert_true(text == NULL || strlen(text) < size);
        const size_t count = image_functions(&image, &functions);
        for (size_t i = 0; i < count; i++)
            assert_true(strlen(functions[i].name) < size);
        free(functions);
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_image),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_a_name_without_end_is_no_name),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_damaged_images),
    };
    return cmocka_run_group_tests_name("tools/image", tests, NULL, NULL);
}
